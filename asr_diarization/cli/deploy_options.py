"""Options of `deploy create` and `deploy update`, and the `Deployment` that they describe."""

from __future__ import annotations

import argparse
import os

from asr_diarization.deploy.endpoint import TOKEN, Deployment
from asr_diarization.deploy.presets import (
    DIARIZATION_4,
    DIARIZATION_31,
    PRESETS,
    Instance,
    Preset,
)
from asr_diarization.errors import DeployError

INSTANCE = ("vendor", "region", "accelerator", "instance_type", "instance_size")
ACCESS = ("public", "authenticated", "private")
MODELS = ("ASR_MODEL", "ASSISTANT_MODEL", "DIARIZATION_MODEL")
SECRET_WORDS = ("TOKEN", "KEY", "PASSWORD", "SECRET")
IDLE_MINUTES = 15


def add_options(parser: argparse.ArgumentParser, *, is_new: bool) -> None:
    """Add the options of `create`, or of `update`, which changes only what is given."""
    add = parser.add_argument
    add("--repository", required=is_new, metavar="OWNER/NAME", help="the one that push made")
    add("--revision", metavar="COMMIT", help="of the repository (default: the latest)")
    add("--preset", choices=PRESETS, default="balanced" if is_new else None)
    add("--asr-model", metavar="ID", help="Whisper checkpoint")
    add("--assistant-model", metavar="ID", help="assistant that drafts for it; '' for none")
    add("--diarization-model", metavar="ID", help="pyannote pipeline; '' for none")
    for name in INSTANCE:
        add(f"--{name.replace('_', '-')}", metavar="NAME", help="default: the preset's")
    add("--min-replica", type=int, metavar="N", help="0 lets it scale to zero (default: 0)")
    add("--max-replica", type=int, metavar="N", help="default: 1")
    add("--scale-to-zero", type=int, metavar="MINUTES", help="idle time before (default: 15)")
    if is_new:
        add("--type", choices=ACCESS, default="authenticated", help="who may send requests")
    add("--image", metavar="URL", help="our own image (docker/Dockerfile), not the default one")
    add(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a further variable; NAME= removes it",
    )
    add("--secret", action="append", default=[], metavar="NAME", help="its value: $NAME here")


def new_endpoint(options: argparse.Namespace) -> Deployment:
    """The endpoint that `create` asks for; it scales to zero unless a replica must stay."""
    min_replica = options.min_replica or 0
    idle = options.scale_to_zero
    return _deployment(
        options,
        min_replica=min_replica,
        max_replica=max(1, min_replica) if options.max_replica is None else options.max_replica,
        scale_to_zero_minutes=IDLE_MINUTES if idle is None and not min_replica else idle,
        access=options.type,
    )


def changed_endpoint(options: argparse.Namespace) -> Deployment:
    """The changes that `update` asks for."""
    return _deployment(
        options, options.min_replica, options.max_replica, options.scale_to_zero, access=None
    )


def _deployment(
    options: argparse.Namespace,
    min_replica: int | None,
    max_replica: int | None,
    scale_to_zero_minutes: int | None,
    access: str | None,
) -> Deployment:
    preset = PRESETS[options.preset] if options.preset else None
    token = _token()
    return Deployment(
        options.name,
        repository=options.repository,
        models=_models(options, preset),
        instance=_instance(options, preset),
        min_replica=min_replica,
        max_replica=max_replica,
        scale_to_zero_minutes=scale_to_zero_minutes,
        access=access,
        image=options.image,
        revision=options.revision,
        variables=_variables(options),
        secrets=_secrets(options, token),
        token=token,
        namespace=options.namespace,
    )


def _models(options: argparse.Namespace, preset: Preset | None) -> dict[str, str]:
    """Models by environment variable; a preset names all, and an empty name removes one."""
    models: dict[str, str] = {}
    if preset:
        models = {**dict.fromkeys(MODELS, ""), **preset.models.by_variable()}
        if options.image and models["DIARIZATION_MODEL"] == DIARIZATION_31:
            models["DIARIZATION_MODEL"] = DIARIZATION_4
    given = (options.asr_model, options.assistant_model, options.diarization_model)
    named = zip(MODELS, given, strict=True)
    return {**models, **{variable: name for variable, name in named if name is not None}}


def _instance(options: argparse.Namespace, preset: Preset | None) -> Instance | None:
    given: list[str | None] = [getattr(options, name) for name in INSTANCE]
    base = preset.instance if preset else None
    if base is None and not any(given):
        return None
    known = (
        (base.vendor, base.region, base.accelerator, base.type, base.size) if base else ("",) * 5
    )
    merged = [new or old for new, old in zip(given, known, strict=True)]
    if not all(merged):
        names = " ".join(f"--{name.replace('_', '-')}" for name in INSTANCE)
        raise DeployError(f"an instance is named by all of {names}, or by a --preset")
    return Instance(*merged)


def _variables(options: argparse.Namespace) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in options.env]
    bad = next((name for name, sign, _ in pairs if not name or not sign), None)
    if bad is not None:
        raise DeployError(f"--env {bad}: write it as NAME=VALUE")
    secret = next((name for name, _, value in pairs if _is_secret(name, value)), None)
    if secret:
        raise DeployError(f"--env {secret}: that is a secret; use --secret {secret}")
    return {name: value for name, _, value in pairs}


def _is_secret(name: str, value: str) -> bool:
    """Whether a variable would make a secret visible; a variable that is removed shows nothing."""
    looks = value.startswith("hf_") or any(word in name.upper() for word in SECRET_WORDS)
    return bool(value) and looks


def _secrets(options: argparse.Namespace, token: str | None) -> dict[str, str]:
    """Secrets of the environment: other processes would see them on the command line."""
    here = {**os.environ, **({TOKEN: token} if token else {})}
    missing = next((name for name in options.secret if not here.get(name)), None)
    if missing:
        raise DeployError(f"--secret {missing}: the variable {missing} is not set here")
    return {name: here[name] for name in options.secret}


def _token() -> str | None:
    """The token with which the endpoint reads models."""
    from huggingface_hub import get_token

    return os.environ.get("ENDPOINT_HF_TOKEN") or os.environ.get("HF_TOKEN") or get_token()
