"""The queue in front of the models: one recording at a time, a bounded number waiting."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio

from asr_diarization.errors import AsrDiarizationError, BusyError, ShuttingDownError
from asr_diarization.protocols import OnProgress, Progress, ignore_progress

T = TypeVar("T")

LONGEST_RETRY_SECONDS = 600

UNFINISHED = "the server was shut down before this was finished"


class Job:
    """One recording to work on, from its place in the queue to its end."""

    def __init__(self, on_progress: OnProgress = ignore_progress) -> None:
        """`on_progress` is told when the queue moves, if other jobs come first."""
        self.scope, self._on_progress = anyio.CancelScope(), on_progress
        self._ahead = self._most_ahead = 0
        self.waited_seconds = 0.0
        self.is_running = False
        self.error: AsrDiarizationError | None = None

    def stop(self, error: AsrDiarizationError) -> None:
        """Leave the queue with `error`; a running job raises it at its next `check`."""
        self.error = self.error or error
        self.scope.cancel()

    def move(self, ahead: int) -> None:
        """Report the number of jobs ahead, if it changed."""
        if ahead != self._ahead:
            self._ahead, self._most_ahead = ahead, max(ahead, self._most_ahead)
            done = self._most_ahead - ahead
            self._on_progress(Progress("queue", done, self._most_ahead))

    def check(self) -> None:
        """Raise the error that the job was stopped with, if it was; from any thread."""
        if self.error is not None:
            raise self.error


class WorkQueue:
    """First come, first served, one at a time, all in one thread.

    The thread is not one of anyio's pool: those end when idle, and in each new one the numerical
    libraries build their pools and caches again.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._turn = anyio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._jobs: dict[Job, None] = {}
        self._mean_seconds = 5.0  # of a job; a guess until the first job has ended
        self.is_closing = False

    @property
    def running(self) -> int:
        """Jobs being worked on."""
        return sum(job.is_running for job in self._jobs)

    @property
    def waiting(self) -> int:
        """Jobs that wait for their turn."""
        return len(self._jobs) - self.running

    def retry_after_seconds(self) -> int:
        """Seconds until the queue is likely to have a place again."""
        return max(1, min(LONGEST_RETRY_SECONDS, math.ceil(self._mean_seconds)))

    def check(self) -> None:
        """Raise the error that `run` would raise now, before a caller uploads in vain.

        Raises:
            BusyError: all places are taken.
            ShuttingDownError: no more work is accepted.
        """
        if self.is_closing:
            raise ShuttingDownError
        if len(self._jobs) >= self._max_waiting + 1:
            raise BusyError(
                f"{self.waiting} recordings are waiting already, try again in about "
                f"{self.retry_after_seconds()} s (MAX_QUEUE={self._max_waiting})"
            )

    async def run(self, work: Callable[[], T], job: Job) -> T:
        """What `work` returns; it waits for its turn.

        Raises:
            BusyError: as `check`.
            AsrDiarizationError: the error that `job.stop` was called with.
        """
        self.check()
        job.move(len(self._jobs))
        self._jobs[job] = None
        began = time.perf_counter()
        try:
            with job.scope:
                async with self._turn:
                    job.is_running = True
                    job.waited_seconds = time.perf_counter() - began
                    # A thread cannot be interrupted; the next turn begins when this work has ended.
                    with anyio.CancelScope(shield=True):
                        return await self._in_thread(work)
        finally:
            del self._jobs[job]
            for ahead, other in enumerate(self._jobs):
                if not other.is_running:
                    other.move(ahead)
        job.check()
        raise AssertionError("only `Job.stop` cancels the scope of a job")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._mean_seconds += 0.2 * (time.perf_counter() - began - self._mean_seconds)

    def drain(self) -> None:
        """Accept no more work and refuse the jobs that wait; the running job goes on."""
        self.is_closing = True
        for job in list(self._jobs):
            if not job.is_running:
                job.stop(ShuttingDownError())

    def close(self) -> None:
        """Stop everything: the running job ends at its next `check`."""
        self.drain()
        for job in list(self._jobs):
            job.stop(ShuttingDownError(UNFINISHED))
        self._thread.shutdown(wait=False, cancel_futures=True)
