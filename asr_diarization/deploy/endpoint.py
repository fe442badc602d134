"""Creating and updating endpoints on Hugging Face with huggingface_hub's client."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from asr_diarization.deploy.presets import Instance
from asr_diarization.errors import DeployError

if TYPE_CHECKING:
    from huggingface_hub import HfApi, InferenceEndpoint

IMAGE_PORT, IMAGE_HEALTH = 8000, "/health"
"""The port and the health route of docker/Dockerfile."""
MASK = "***"
REPOSITORY_DIR = "/repository"
"""The host puts the endpoint's repository here."""
CONTAINER_VARIABLES = {"HF_MODEL_DIR": REPOSITORY_DIR, "HF_TASK": "custom"}
"""The default container reads these beside the models."""
TOKEN = "HF_TOKEN"  # noqa: S105  its name


@dataclass(frozen=True, slots=True)
class Environment:
    """Variables and secrets of the container; an empty value removes one."""

    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    token: str | None
    """The endpoint's `HF_TOKEN`; it is sent when the endpoint would not have it otherwise."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """The wanted state of an endpoint; None keeps the present value or the host's default."""

    name: str
    repository: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    """Model names by environment variable; an empty name removes the model."""
    instance: Instance | None = None
    min_replica: int | None = None
    max_replica: int | None = None
    scale_to_zero_minutes: int | None = None
    access: str | None = None
    """`public`, `authenticated` or `private`."""
    image: str | None = None
    """Address of our own image; None means the host's default container."""
    revision: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    """Further variables; an empty value removes one."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    """The endpoint downloads models with it."""
    namespace: str | None = None

    def environment(self) -> Environment:
        """Variables and secrets of the container, models included."""
        return Environment({**self.models, **self.variables}, self.secrets, self.token)


def create(api: HfApi, deployment: Deployment) -> InferenceEndpoint:
    """Create an endpoint; the client's object for it."""
    return api.create_inference_endpoint(**_create_arguments(api, deployment))


def update(api: HfApi, deployment: Deployment, raw: Mapping[str, Any]) -> InferenceEndpoint:
    """Change an existing endpoint where `deployment` is not None; the client's object for it.

    Args:
        api: the client.
        deployment: the changes.
        raw: the endpoint, as the host describes it.

    Raises:
        DeployError: there is no change, or a secret would be lost.
    """
    method = api.update_inference_endpoint
    arguments = {
        **_compute(deployment),
        **_model(deployment),
        **changed_environment(method, deployment.environment(), raw["model"]),
    }
    changes = {name: value for name, value in arguments.items() if value is not None}
    for fixed in ("vendor", "region"):
        changes.pop(fixed, None)  # an endpoint does not move
    if not changes:
        raise DeployError(f"nothing to change on {deployment.name}: name at least one option")
    return method(deployment.name, namespace=deployment.namespace, **changes)


def masked_arguments(api: HfApi, deployment: Deployment) -> dict[str, Any]:
    """The arguments that `create` passes to the client, with secrets masked; nothing is sent."""
    arguments = _create_arguments(api, deployment)
    hidden = {TOKEN, *deployment.secrets}
    secrets = arguments.get("secrets") or {}
    arguments["secrets"] = {n: MASK if n in hidden else value for n, value in secrets.items()}
    return arguments


def _create_arguments(api: HfApi, deployment: Deployment) -> dict[str, Any]:
    environment = deployment.environment()
    arguments = {
        "name": deployment.name,
        "namespace": deployment.namespace,
        **_compute(deployment),
        **_model(deployment),
        "framework": "custom" if deployment.image else "pytorch",
        "task": "custom",
        **new_environment(
            api.create_inference_endpoint, environment, has_image=bool(deployment.image)
        ),
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


def new_environment(
    method: Callable[..., Any], wanted: Environment, *, has_image: bool
) -> dict[str, Any]:
    """`env` and `secrets` for the client's `create_inference_endpoint`."""
    variables = {**({} if has_image else CONTAINER_VARIABLES), **wanted.variables}
    return _environment_arguments(method, variables, {TOKEN: wanted.token or "", **wanted.secrets})


def changed_environment(
    method: Callable[..., Any], wanted: Environment, model: Mapping[str, Any]
) -> dict[str, Any]:
    """`env` and `secrets` for the client's `update_inference_endpoint`.

    The host replaces all variables and all secrets by those it is sent.

    Args:
        method: the client's method.
        wanted: the changes.
        model: the endpoint's model, as the host describes it; of secrets it tells only the names.

    Raises:
        DeployError: a secret would be lost, because its value is not known here.
    """
    if not (wanted.variables or wanted.secrets):
        return {}
    variables, secret_names = dict(model.get("env") or {}), set(model.get("secrets") or ())
    moved = secret_names & set(wanted.variables)
    secrets = {**_known_secrets(wanted, secret_names - moved), **wanted.secrets}
    has_variables = "env" in inspect.signature(method).parameters
    if variables and not has_variables:
        raise DeployError(
            "this huggingface_hub cannot change an endpoint that a newer one has made: "
            "pip install -U huggingface_hub, and update again"
        )
    variables.update(wanted.variables)
    if has_variables and not (wanted.secrets or moved or set(secrets) - secret_names):
        return {"env": _without_empty(variables)}
    if lost := secret_names - moved - set(secrets):
        raise DeployError(
            f"{', '.join(sorted(lost))} would be lost, since the host does not tell the values: "
            "give each again with --secret NAME or --env NAME=VALUE, or drop it with --env NAME="
        )
    return _environment_arguments(method, variables, secrets)


def _known_secrets(wanted: Environment, secret_names: set[str]) -> dict[str, str]:
    """The endpoint's secrets whose values are known here, and the token."""
    known = {name: value for name, value in CONTAINER_VARIABLES.items() if name in secret_names}
    if wanted.token and TOKEN not in wanted.variables:
        known[TOKEN] = wanted.token
    return known


def _environment_arguments(
    method: Callable[..., Any], variables: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """huggingface_hub 0.30 knows only secrets; a container reads them as variables, too."""
    if "env" in inspect.signature(method).parameters:
        return {"env": _without_empty(variables), "secrets": _without_empty(secrets)}
    return {"secrets": _without_empty({**variables, **secrets})}


def _without_empty(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
