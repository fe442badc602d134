"""What Prometheus can ask: how much is asked, how long it waits, how fast it is answered."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from asr_diarization.server.queueing import WorkQueue

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
SPEEDS = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


class Metrics:
    """The figures of one server; a registry of their own, so that two servers do not mix."""

    def __init__(self, queue: WorkQueue) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "asr_requests", "Requests answered.", ["route", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "asr_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        waiting = Gauge("asr_queue_waiting", "Recordings that wait.", registry=registry)
        waiting.set_function(lambda: queue.waiting)
        running = Gauge("asr_queue_running", "Recordings being worked on.", registry=registry)
        running.set_function(lambda: queue.running)
        self._queue_seconds = Histogram(
            "asr_queue_seconds", "What recordings waited.", buckets=SECONDS, registry=registry
        )
        self._stage_seconds = Counter(
            "asr_stage_seconds", "Seconds spent in each stage.", ["stage"], registry=registry
        )
        self._audio_seconds = Counter(
            "asr_audio_seconds", "Seconds of recordings transcribed.", registry=registry
        )
        self._speed = Histogram(
            "asr_real_time_factor",
            "RTFx: seconds of a recording per second of work on it.",
            buckets=SPEEDS,
            registry=registry,
        )
        self._drafted = Counter(
            "asr_drafted_tokens", "Tokens the assistant guessed.", registry=registry
        )
        self._accepted = Counter(
            "asr_accepted_tokens", "Of these, kept by the main model.", registry=registry
        )
        self._acceptance = Gauge(
            "asr_acceptance_rate",
            "Share of guessed tokens kept in the latest assisted request.",
            registry=registry,
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def transcribed(self, figures: Mapping[str, object], waited: float, worked: float) -> None:
        """Count one recording; `figures` are its transcript's stats."""
        self._queue_seconds.observe(waited)
        audio = figures.get("audio_seconds")
        if isinstance(audio, float | int):
            self._audio_seconds.inc(audio)
            self._speed.observe(audio / max(worked, 1e-9))
        stages = figures.get("seconds")
        if isinstance(stages, Mapping):
            for stage, seconds in stages.items():
                self._stage_seconds.labels(stage).inc(max(0.0, seconds))
        self._assisted(figures.get("speculative"))

    def _assisted(self, figures: object) -> None:
        if isinstance(figures, Mapping) and figures.get("drafted"):
            self._drafted.inc(figures["drafted"])
            self._accepted.inc(figures["accepted"])
            self._acceptance.set(figures["accepted"] / figures["drafted"])

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
