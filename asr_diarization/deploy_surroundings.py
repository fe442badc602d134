"""What a container reads, variables and secrets: of a new endpoint, and of one that is there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asr_diarization.errors import DeployError

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
