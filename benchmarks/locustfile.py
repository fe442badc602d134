"""The seed's four load scenarios: short and long recordings, assisted or not.

    locust -f benchmarks/locustfile.py --headless -u 4 -t 2m --host http://127.0.0.1:8000

`--tags short`, `long`, `assisted` or `plain` picks some; API_KEY opens a server that asks for one.
The seed ran them with k6 against an endpoint. Here each user sends its next request after the
answer to the last one, and 429 counts as an answer, not as a failure.
"""

from __future__ import annotations

import os
from pathlib import Path

from locust import HttpUser, between, tag, task

DATA = Path(__file__).parent.parent / "tests" / "data"
SHORT = (DATA / "formats" / "sample1.flac").read_bytes()
LONG = (DATA / "dialogues" / "d1_1min_2spk.flac").read_bytes()


class Caller(HttpUser):
    """A user who sends one recording after another."""

    wait_time = between(0.1, 1.0)

    def on_start(self) -> None:
        if key := os.environ.get("API_KEY"):
            self.client.headers["Authorization"] = f"Bearer {key}"

    @tag("short", "plain")
    @task(3)
    def short(self) -> None:
        self._predict("short", SHORT, assisted=False)

    @tag("short", "assisted")
    @task(3)
    def short_assisted(self) -> None:
        self._predict("short, assisted", SHORT, assisted=True)

    @tag("long", "plain")
    @task(1)
    def long(self) -> None:
        self._predict("long", LONG, assisted=False)

    @tag("long", "assisted")
    @task(1)
    def long_assisted(self) -> None:
        self._predict("long, assisted", LONG, assisted=True)

    def _predict(self, name: str, audio: bytes, *, assisted: bool) -> None:
        with self.client.post(
            "/predict",
            data=audio,
            params={"assisted": str(assisted).lower()},
            headers={"Content-Type": "audio/flac"},
            name=name,
            catch_response=True,
        ) as answer:
            if answer.status_code == 429 or (answer.ok and answer.json()["text"]):
                answer.success()
            else:
                answer.failure(f"{answer.status_code}: {answer.text[:100]}")
