"""Watching an endpoint: wait until it runs, send it a recording, read its log."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_diarization.errors import DeployError

if TYPE_CHECKING:
    from huggingface_hub import InferenceEndpoint

SCALE_UP_SECONDS = 600
ASLEEP = {
    "paused": "is paused: deploy resume {name} starts it",
    "scaledToZero": "is scaled to zero: deploy test {name} wakes it",
}
"""States that do not end by waiting, and the command that ends each."""
Report = Callable[[str], None]


def wait(
    endpoint: InferenceEndpoint, timeout: float, report: Report, refresh_seconds: float = 5
) -> InferenceEndpoint:
    """Wait until the endpoint runs; `report` gets a line for every change of its state.

    Raises:
        DeployError: it failed, it is asleep, or `timeout` seconds have passed.
    """
    from huggingface_hub.errors import InferenceEndpointError, InferenceEndpointTimeoutError

    began, last = time.monotonic(), ""
    while True:
        state = described(endpoint)
        if state != last:
            report(f"{time.monotonic() - began:5.0f} s  {state}")
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


def described(endpoint: InferenceEndpoint) -> str:
    """The endpoint's state with the host's message: `failed: Exit code: 3`."""
    message = " ".join((endpoint.raw["status"].get("message") or "").split())
    return f"{state_of(endpoint)}{': ' if message else ''}{message}"


def state_of(endpoint: InferenceEndpoint) -> str:
    """`running`, `paused`, `scaledToZero` and so on; clients give it as a text or an enum."""
    return str(getattr(endpoint.status, "value", endpoint.status))


def ask(
    endpoint: InferenceEndpoint, audio: Path, token: str | None, *, speakers: bool = True
) -> dict[str, Any]:
    """The endpoint's answer to a recording; the request wakes it if it is scaled to zero.

    Raises:
        DeployError: the answer has no words or, where `speakers` are expected, no speakers.
    """
    from huggingface_hub import InferenceClient

    if endpoint.url is None:
        raise DeployError(f"{endpoint.name} is {state_of(endpoint)} and has no address yet")
    # The default container needs a content type, which clients before 0.36 do not send; and only
    # a request with a parameter is sent as JSON.
    headers = {"Content-Type": "application/json", "X-Scale-Up-Timeout": str(SCALE_UP_SECONDS)}
    client = InferenceClient(model=endpoint.url, token=token, headers=headers)
    answer: dict[str, Any] = client.automatic_speech_recognition(
        audio.read_bytes(), extra_body={"diarize": speakers}
    )
    if not answer.get("text"):
        raise DeployError(f"{endpoint.name} answered {audio.name} without any words")
    if speakers and not answer.get("speakers"):
        raise DeployError(
            f"{endpoint.name} answered without speakers: is DIARIZATION_MODEL among its variables?"
        )
    return answer


def read_logs(endpoint: InferenceEndpoint, token: str | None) -> str:
    """The container's log; the client has no method for it, so its session is used."""
    from huggingface_hub import constants, get_session, get_token

    url = f"{constants.INFERENCE_ENDPOINTS_ENDPOINT}/endpoint/{endpoint.namespace}/{endpoint.name}"
    headers = {"Authorization": f"Bearer {token or get_token()}"}
    response = get_session().get(f"{url}/logs", headers=headers)
    response.raise_for_status()
    return str(response.text)
