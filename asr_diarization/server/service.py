"""The service behind all APIs: an upload goes through the queue and becomes a transcript."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import BinaryIO, Protocol, TypeVar

import anyio
from starlette.requests import Request
from starlette.types import Receive

from asr_diarization.audio.decode import Encoded
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import CancelledError
from asr_diarization.protocols import OnProgress, Progress, ignore_progress
from asr_diarization.server.bodies import BodyReader
from asr_diarization.server.metrics import Metrics
from asr_diarization.server.queueing import Job, WorkQueue
from asr_diarization.server.settings import ServerSettings
from asr_diarization.server.uploads import Upload, UploadReader
from asr_diarization.transcript import Transcript

T = TypeVar("T")


class Recognizer(Protocol):
    """The part of `Pipeline` that the server uses."""

    def check(self, file: BinaryIO, parameters: InferenceConfig) -> None:
        """Raise `InvalidRequestError` for a request that is wrong at first sight."""
        ...

    def __call__(
        self, audio: Encoded, parameters: InferenceConfig, on_progress: OnProgress
    ) -> Transcript:
        """Who said what, when, in `audio`."""
        ...


class Service:
    """One pipeline, the queue in front of it, and the metrics of both."""

    def __init__(self, settings: ServerSettings, pipeline: Recognizer) -> None:
        self.settings, self._pipeline = settings, pipeline
        self.queue = WorkQueue(settings.max_queue)
        self.metrics = Metrics(self.queue)
        self.bodies = BodyReader(settings)
        self.uploads = UploadReader(settings, self.bodies)

    async def transcribe(
        self,
        request: Request,
        upload: Upload,
        render: Callable[[Transcript], T],
        on_progress: OnProgress = ignore_progress,
    ) -> T:
        """What `render` returns for the transcript, in the worker's thread; closes the upload.

        A request that cannot be answered is refused at once and does not wait in the queue.

        Raises:
            BusyError: the queue is full.
            InvalidRequestError: the recording or a parameter cannot be used.
            CancelledError: the caller went away; the work stops at its next progress.
            AsrDiarizationError: as `Pipeline`.
        """
        job, log = Job(on_progress), request.state.log

        def check_and_report(progress: Progress) -> None:
            job.check()
            if progress.done:
                on_progress(progress)

        def work() -> T:
            began = time.perf_counter()
            transcript = self._pipeline(upload.file, upload.parameters, check_and_report)
            result = render(transcript)
            seconds = time.perf_counter() - began
            self.metrics.transcribed(transcript.stats, job.waited_seconds, seconds)
            log.update(
                audio_seconds=round(transcript.duration, 3),
                waited_seconds=round(job.waited_seconds, 3),
                rtfx=round(transcript.duration / max(seconds, 1e-9), 2),
                speakers=len({turn.speaker for turn in transcript.turns}),
                stages=transcript.stats.get("seconds"),
            )
            return result

        try:
            self.queue.check()
            await anyio.to_thread.run_sync(self._pipeline.check, upload.file, upload.parameters)
            async with _stopped_on_disconnect(request.receive, job):
                return await self.queue.run(work, job)
        finally:
            upload.close()

    def drain(self) -> None:
        """Accept no more work and no more uploads; the running job goes on."""
        self.queue.drain()
        self.bodies.refuse()

    def for_streaming(self, upload: Upload) -> Upload:
        """The same upload with smaller batches, unless the caller chose a size.

        After every batch progress is reported and the work can be stopped.
        """
        if "batch_size" in upload.parameters.model_fields_set:
            return upload
        size = {"batch_size": self.settings.stream_batch_size}
        return replace(upload, parameters=upload.parameters.model_copy(update=size))


@asynccontextmanager
async def _stopped_on_disconnect(receive: Receive, job: Job) -> AsyncIterator[None]:
    """Stop `job` when the caller goes away."""

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        job.stop(CancelledError("the caller went away"))

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
