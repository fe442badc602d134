"""Metrics for Prometheus: requests, waiting times, stages and speed."""

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
    """The metrics of one server, in a registry of their own: two servers do not mix."""

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
            "asr_queue_seconds", "How long recordings waited.", buckets=SECONDS, registry=registry
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
            "asr_drafted_tokens", "Tokens the assistant drafted.", registry=registry
        )
        self._accepted = Counter(
            "asr_accepted_tokens", "Drafted tokens the main model accepted.", registry=registry
        )
        self._acceptance = Gauge(
            "asr_acceptance_rate",
            "Share of drafted tokens accepted in the latest assisted request.",
            registry=registry,
        )

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def transcribed(self, stats: Mapping[str, object], waited: float, worked: float) -> None:
        """Count one recording: its transcript's stats, and seconds of waiting and of work."""
        self._queue_seconds.observe(waited)
        audio = stats.get("audio_seconds")
        if isinstance(audio, float | int):
            self._audio_seconds.inc(audio)
            self._speed.observe(audio / max(worked, 1e-9))
        stages = stats.get("seconds")
        if isinstance(stages, Mapping):
            for stage, seconds in stages.items():
                self._stage_seconds.labels(stage).inc(max(0.0, seconds))
        self._assisted(stats.get("speculative"))

    def _assisted(self, stats: object) -> None:
        if isinstance(stats, Mapping) and stats.get("drafted"):
            self._drafted.inc(stats["drafted"])
            self._accepted.inc(stats["accepted"])
            self._acceptance.set(stats["accepted"] / stats["drafted"])

    def page(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)
