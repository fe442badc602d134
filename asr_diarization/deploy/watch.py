"""An endpoint that is there: what it does, what it answers, what it has written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr_diarization.errors import DeployError

SCALE_UP_SECONDS = 600
ASLEEP = {
    "paused": "is paused: deploy resume {name} starts it",
    "scaledToZero": "is scaled to zero: deploy test {name} wakes it",
}
"""States that no waiting ends, and what does."""
Say = Callable[[str], None]


def wait(endpoint: Any, timeout: float, say: Say, refresh_seconds: float = 5) -> Any:
    """The endpoint once it answers; `say` hears of every change on the way.

    Raises:
        DeployError: it failed, it sleeps, or `timeout` seconds have passed.
    """
    from huggingface_hub.errors import InferenceEndpointError, InferenceEndpointTimeoutError

    began, last = time.monotonic(), ""
    while True:
        state = described(endpoint)
        if state != last:
            say(f"{time.monotonic() - began:5.0f} s  {state}")
            last = state
        if asleep := ASLEEP.get(state_of(endpoint)):
            raise DeployError(f"{endpoint.name} {asleep.format(name=endpoint.name)}")
        try:
            return endpoint.wait(timeout=0, refresh_every=1)
        except InferenceEndpointTimeoutError:
            pass
        except InferenceEndpointError as error:
            raise DeployError(f"{endpoint.name} {state}; see deploy logs") from error
        if time.monotonic() - began > timeout:
            raise DeployError(f"{endpoint.name} is {state} after {timeout:.0f} s; see deploy logs")
        time.sleep(refresh_seconds)
        endpoint.fetch()


def described(endpoint: Any) -> str:
    """Its state, and what the host says about it: `failed: Exit code: 3`."""
    said = " ".join((endpoint.raw["status"].get("message") or "").split())
    return f"{state_of(endpoint)}{': ' if said else ''}{said}"


def state_of(endpoint: Any) -> str:
    """`running`, `paused`, `scaledToZero` and so on, whatever type the client gives it."""
    return str(getattr(endpoint.status, "value", endpoint.status))


def ask(endpoint: Any, audio: Path, token: str | None, *, speakers: bool = True) -> dict[str, Any]:
    """The endpoint's answer to a recording; wakes it up if it is scaled to zero.

    Raises:
        DeployError: it answered without words or, where `speakers` are expected, without these.
    """
    from huggingface_hub import InferenceClient

    if endpoint.url is None:
        raise DeployError(f"{endpoint.name} is {state_of(endpoint)} and has no address yet")
    # The default container wants the type spelled out, which clients before 0.36 do not do; and
    # only a request with a parameter is sent as JSON.
    headers = {"Content-Type": "application/json", "X-Scale-Up-Timeout": str(SCALE_UP_SECONDS)}
    client = InferenceClient(model=endpoint.url, token=token, headers=headers)
    answer: dict[str, Any] = client.automatic_speech_recognition(
        audio.read_bytes(), extra_body={"diarize": speakers}
    )
    if not answer.get("text"):
        raise DeployError(f"{endpoint.name} answered without a word to {audio.name}")
    if speakers and not answer.get("speakers"):
        raise DeployError(
            f"{endpoint.name} answered without speakers: is DIARIZATION_MODEL among its variables?"
        )
    return answer


def read_logs(endpoint: Any, token: str | None) -> str:
    """What the container has written; the client has no method for it, so its session is used."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    url = f"{constants.INFERENCE_ENDPOINTS_ENDPOINT}/endpoint/{endpoint.namespace}/{endpoint.name}"
    response = get_session().get(f"{url}/logs", headers=build_hf_headers(token=token))
    hf_raise_for_status(response)
    return str(response.text)
