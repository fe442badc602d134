"""Endpoints on Hugging Face, by huggingface_hub's own client: made, watched, changed, deleted."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from asr_diarization.deploy_presets import MEMORY_GB, Instance, Models
from asr_diarization.errors import DeployError

REPOSITORY_DIR = "/repository"
"""Where the host puts the endpoint's repository."""
IMAGE_PORT, IMAGE_HEALTH = 8000, "/health"
"""Of docker/Dockerfile."""
MASK = "***"
UNUSABLE = ("not_available", "deprecated")
SCALE_UP_SECONDS = 600
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deployment:
    """An endpoint as it is to be; what is None stays as it is, or is the host's default."""

    name: str
    repository: str | None = None
    models: Models | None = None
    instance: Instance | None = None
    min_replica: int | None = None
    max_replica: int | None = None
    scale_to_zero_minutes: int | None = None
    access: str | None = None
    """`public`, `authenticated` or `private`."""
    image: str | None = None
    """Address of our own image; without one, the host's default container."""
    revision: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    namespace: str | None = None

    def environment(self, there: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the container reads: what is `there`, and what is wished on top.

        Of a new endpoint, the default container also wants to know where the repository is.
        """
        own = {} if self.image else {"HF_MODEL_DIR": REPOSITORY_DIR, "HF_TASK": "custom"}
        models = self.models.by_variable() if self.models else {}
        return {**(there or own), **models, **self.variables}


def create(api: Any, deployment: Deployment) -> Any:
    """A new endpoint, as the client describes it."""
    return api.create_inference_endpoint(**_create_arguments(api, deployment))


def update(api: Any, deployment: Deployment) -> Any:
    """An endpoint that is there, changed where `deployment` says something."""
    call = api.update_inference_endpoint
    wishes = {**_compute(deployment), **_model(deployment)}
    if deployment.models or deployment.variables or deployment.secrets:
        wishes |= _surroundings(call, deployment, _variables_there(api, deployment))
    given = {name: value for name, value in wishes.items() if value is not None}
    for fixed in ("vendor", "region"):
        given.pop(fixed, None)  # an endpoint does not move
    if not given:
        raise DeployError(f"nothing to change on {deployment.name}: name at least one option")
    return call(deployment.name, namespace=deployment.namespace, **given)


def _variables_there(api: Any, deployment: Deployment) -> dict[str, str]:
    """An endpoint's variables, since the host takes new ones for all there are."""
    endpoint = api.get_inference_endpoint(deployment.name, namespace=deployment.namespace)
    return dict(endpoint.raw["model"].get("env") or {})


def body_of(api: Any, deployment: Deployment) -> dict[str, Any]:
    """What the client would send to create `deployment`, with secrets masked; nothing is sent."""
    recorder = _Recorder()
    arguments = _create_arguments(api, deployment)
    arguments["namespace"] = deployment.namespace or "-"
    with patch("huggingface_hub.hf_api.get_session", lambda: recorder):
        try:
            api.create_inference_endpoint(**arguments)
        except _RecordedError as recorded:
            body: dict[str, Any] = recorded.body
    model = body["model"]
    hidden = set(deployment.secrets)
    secrets = model.get("secrets") or {}
    model["secrets"] = {n: MASK if n in hidden else value for n, value in secrets.items()}
    return body


class _RecordedError(Exception):
    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__("recorded, not sent")
        self.body = body


class _Recorder:
    """Stands in for the client's HTTP session."""

    def post(self, _: str, *, json: dict[str, Any], **__: Any) -> None:
        raise _RecordedError(json)


def _create_arguments(api: Any, deployment: Deployment) -> dict[str, Any]:
    call = api.create_inference_endpoint
    arguments = {
        "name": deployment.name,
        "namespace": deployment.namespace,
        **_compute(deployment),
        **_model(deployment),
        "framework": "custom" if deployment.image else "pytorch",
        "task": "custom",
        **_surroundings(call, deployment),
        "type": deployment.access,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _compute(deployment: Deployment) -> dict[str, Any]:
    machine = deployment.instance
    return {
        "vendor": machine and machine.vendor,
        "region": machine and machine.region,
        "accelerator": machine and machine.accelerator,
        "instance_type": machine and machine.type,
        "instance_size": machine and machine.size,
        "min_replica": deployment.min_replica,
        "max_replica": deployment.max_replica,
        "scale_to_zero_timeout": deployment.scale_to_zero_minutes,
    }


def _model(deployment: Deployment) -> dict[str, Any]:
    image = None
    if deployment.image:
        image = {"url": deployment.image, "healthRoute": IMAGE_HEALTH, "port": IMAGE_PORT}
    return {
        "repository": deployment.repository,
        "revision": deployment.revision,
        "custom_image": image,
    }


def _surroundings(
    call: Callable[..., Any], deployment: Deployment, there: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Variables and secrets; huggingface_hub 0.30 knows only secrets, which are variables too."""
    variables, secrets = deployment.environment(there), dict(deployment.secrets)
    if "env" in inspect.signature(call).parameters:
        return {"env": variables, "secrets": secrets or None}
    return {"secrets": {**variables, **secrets}}


def check_instance(api: Any, deployment: Deployment) -> list[str]:
    """Remarks on the instance, after the client's list of hardware or else a table.

    Raises:
        DeployError: there is no such instance, or the models do not fit on it.
    """
    machine = deployment.instance
    if machine is None:
        return []
    remarks, memory = [], float(MEMORY_GB.get((machine.type, machine.size), 0))
    if hasattr(api, "list_inference_endpoints_hardware"):
        offer = _offer(api, machine, deployment.namespace)
        memory = offer.gpu_memory_gb or offer.memory_gb
        remarks.append(f"{offer.architecture}: {offer.price_per_hour} USD an hour and replica")
    needed = deployment.models and deployment.models.needed_gb(machine.accelerator)
    name = f"{machine.type} {machine.size}"
    if not needed or not memory:
        return [*remarks, f"memory not checked: models or {name} are not in our tables"]
    if needed > memory:
        raise DeployError(
            f"the models need about {needed:.1f} GB (computed) and {name} has {memory:.0f} GB: "
            "take a larger --instance-type, or a smaller --asr-model"
        )
    return [*remarks, f"memory: about {needed:.1f} GB (computed) of {memory:.0f} GB on {name}"]


def _offer(api: Any, machine: Instance, namespace: str | None) -> Any:
    """The machine in the list of what this account can have."""
    everything = api.list_inference_endpoints_hardware(namespace=namespace)
    near = [
        one
        for one in everything
        if (one.vendor, one.region, one.accelerator)
        == (machine.vendor, machine.region, machine.accelerator)
        and one.status not in UNUSABLE
    ]
    for one in near:
        if (one.instance_type, one.instance_size) == (machine.type, machine.size):
            return one
    there = ", ".join(sorted({f"{one.instance_type} {one.instance_size}" for one in near}))
    where = f"{machine.vendor} {machine.region} {machine.accelerator}"
    raise DeployError(
        f"{machine.type} {machine.size} cannot be had at {where}; "
        + (f"there are {there}" if there else "choose another --vendor, --region, --accelerator")
    )


def wait(endpoint: Any, timeout: float, say: Say, refresh_seconds: float = 5) -> Any:
    """The endpoint once it answers; `say` hears of every change on the way.

    Raises:
        DeployError: it failed, or `timeout` seconds have passed.
    """
    from huggingface_hub.errors import InferenceEndpointError, InferenceEndpointTimeoutError

    began, last = time.monotonic(), ""
    while True:
        said = (endpoint.raw["status"].get("message") or "").strip()
        state = f"{state_of(endpoint)}{': ' if said else ''}{said}"
        if state != last:
            say(f"{time.monotonic() - began:5.0f} s  {state}")
            last = state
        try:
            return endpoint.wait(timeout=0, refresh_every=1)
        except InferenceEndpointTimeoutError:
            pass
        except InferenceEndpointError as error:
            raise DeployError(
                f"{endpoint.name} failed: {said or error}; see deploy logs"
            ) from error
        if time.monotonic() - began > timeout:
            raise DeployError(f"{endpoint.name} is {state} after {timeout:.0f} s; see deploy logs")
        time.sleep(refresh_seconds)
        endpoint.fetch()


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
