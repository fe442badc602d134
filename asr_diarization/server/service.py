"""What both APIs of the server share: an upload in, its transcript out, through the queue."""

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
from asr_diarization.server.metrics import Metrics
from asr_diarization.server.queueing import Job, WorkQueue
from asr_diarization.server.settings import ServerSettings
from asr_diarization.server.uploads import Upload, UploadReader
from asr_diarization.transcript import Transcript

T = TypeVar("T")


class Recognizer(Protocol):
    """What `Pipeline` is to the server."""

    def check(self, file: BinaryIO, parameters: InferenceConfig) -> None:
        """Raise `InvalidRequestError` for what is seen to be wrong without any work."""
        ...

    def __call__(
        self, audio: Encoded, parameters: InferenceConfig, on_progress: OnProgress
    ) -> Transcript:
        """Who said what, when, in `audio`."""
        ...


class Service:
    """One pipeline, the queue in front of it, and what is counted on the way."""

    def __init__(self, settings: ServerSettings, pipeline: Recognizer) -> None:
        self.settings, self._pipeline = settings, pipeline
        self.queue = WorkQueue(settings.max_queue)
        self.metrics = Metrics(self.queue)
        self.uploads = UploadReader(settings)

    async def transcribe(
        self,
        request: Request,
        upload: Upload,
        render: Callable[[Transcript], T],
        on_progress: OnProgress = ignore_progress,
    ) -> T:
        """`render` of the transcript, made in the worker's thread; the upload is closed.

        What cannot be used is refused at once; only work waits for its turn.

        Raises:
            BusyError: the queue is full.
            InvalidRequestError: the recording or a parameter cannot be used.
            CancelledError: the caller went away; work stops at the next progress.
            AsrDiarizationError: as `Pipeline`.
        """
        job, log = Job(on_progress), request.state.log

        def stop_or_tell(progress: Progress) -> None:
            job.check()
            on_progress(progress)

        def work() -> T:
            began = time.perf_counter()
            transcript = self._pipeline(upload.file, upload.parameters, stop_or_tell)
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
            async with _watching(request.receive, job):
                return await self.queue.run(work, job)
        finally:
            upload.close()

    def drain(self) -> None:
        """Take no more work and no more uploads; what is under way goes on."""
        self.queue.drain()
        self.uploads.refuse()

    def for_watching(self, upload: Upload) -> Upload:
        """The same upload in smaller batches, unless the caller chose a size: progress is told,
        and work stops, after every batch.
        """
        if "batch_size" in upload.parameters.model_fields_set:
            return upload
        size = {"batch_size": self.settings.stream_batch_size}
        return replace(upload, parameters=upload.parameters.model_copy(update=size))


@asynccontextmanager
async def _watching(receive: Receive, job: Job) -> AsyncIterator[None]:
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
