"""Endpoints on Hugging Face, by huggingface_hub's own client: made and changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from asr_diarization.deploy.presets import Instance
from asr_diarization.errors import DeployError

IMAGE_PORT, IMAGE_HEALTH = 8000, "/health"
"""Of docker/Dockerfile."""
MASK = "***"
REPOSITORY_DIR = "/repository"
"""Where the host puts the endpoint's repository."""
OWN = {"HF_MODEL_DIR": REPOSITORY_DIR, "HF_TASK": "custom"}
"""What the default container wants to know beside the models."""
TOKEN = "HF_TOKEN"  # noqa: S105  its name


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Variables and secrets as wished; an empty value takes one away."""

    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    token: str | None
    """The endpoint's `HF_TOKEN`, sent where it would be missing or lost."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """An endpoint as it is to be; what is None stays as it is, or is the host's default."""

    name: str
    repository: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """By the variable that names each; an empty name takes one away."""
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
    """Beside the models; an empty value takes one away."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    """With which the endpoint reads models."""
    namespace: str | None = None

    def surroundings(self) -> Surroundings:
        """What the container is to read."""
        return Surroundings({**self.models, **self.variables}, self.secrets, self.token)


def create(api: Any, deployment: Deployment) -> Any:
    """A new endpoint, as the client describes it."""
    return api.create_inference_endpoint(**_create_arguments(api, deployment))


def update(api: Any, deployment: Deployment, raw: Mapping[str, Any]) -> Any:
    """An endpoint that is there, changed where `deployment` says something.

    Args:
        api: the client.
        deployment: the wishes.
        raw: the endpoint, as the host describes it.

    Raises:
        DeployError: there is no wish, or something would be lost.
    """
    call = api.update_inference_endpoint
    wishes = {
        **_compute(deployment),
        **_model(deployment),
        **of_changed(call, deployment.surroundings(), raw["model"]),
    }
    given = {name: value for name, value in wishes.items() if value is not None}
    for fixed in ("vendor", "region"):
        given.pop(fixed, None)  # an endpoint does not move
    if not given:
        raise DeployError(f"nothing to change on {deployment.name}: name at least one option")
    return call(deployment.name, namespace=deployment.namespace, **given)


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
    hidden = {TOKEN, *deployment.secrets}
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
        **of_new(call, deployment.surroundings(), has_image=bool(deployment.image)),
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


def of_new(call: Callable[..., Any], wish: Surroundings, *, has_image: bool) -> dict[str, Any]:
    """Arguments of the client's `create_inference_endpoint`."""
    variables = {**({} if has_image else OWN), **wish.variables}
    return _arguments(call, variables, {TOKEN: wish.token or "", **wish.secrets})


def of_changed(
    call: Callable[..., Any], wish: Surroundings, model: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments of the client's `update_inference_endpoint`; the host takes them for all there are.

    Args:
        call: the client's method.
        wish: what is to change.
        model: the endpoint's, as the host describes it: of secrets it tells only the names.

    Raises:
        DeployError: something that is there would be lost, since its value is not known here.
    """
    if not (wish.variables or wish.secrets):
        return {}
    variables, names = dict(model.get("env") or {}), set(model.get("secrets") or ())
    moved = names & set(wish.variables)
    secrets = {**_known(wish, names - moved), **wish.secrets}
    has_variables = "env" in inspect.signature(call).parameters
    if variables and not has_variables:
        raise DeployError(
            "this huggingface_hub cannot change an endpoint that a newer one has made: "
            "pip install -U huggingface_hub, and update again"
        )
    variables.update(wish.variables)
    if has_variables and not (wish.secrets or moved or set(secrets) - names):
        return {"env": _present(variables)}
    if lost := names - moved - set(secrets):
        raise DeployError(
            f"{', '.join(sorted(lost))} would be lost, since the host does not tell the values: "
            "give each again with --secret NAME or --env NAME=VALUE, or drop it with --env NAME="
        )
    return _arguments(call, variables, secrets)


def _known(wish: Surroundings, names: set[str]) -> dict[str, str]:
    """Of the secrets that are there, and the token, those whose values are known here."""
    own = {name: value for name, value in OWN.items() if name in names}
    if wish.token and TOKEN not in wish.variables:
        own[TOKEN] = wish.token
    return own


def _arguments(
    call: Callable[..., Any], variables: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """huggingface_hub 0.30 knows only secrets, which a container reads as variables, too."""
    if "env" in inspect.signature(call).parameters:
        return {"env": _present(variables), "secrets": _present(secrets)}
    return {"secrets": _present({**variables, **secrets})}


def _present(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
