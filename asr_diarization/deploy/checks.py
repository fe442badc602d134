"""What would fail on an endpoint, told before it costs anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from asr_diarization.deploy.endpoint import Deployment
from asr_diarization.deploy.presets import (
    DIARIZATION_4,
    DIARIZATION_31,
    MEMORY_GB,
    SIZES,
    Instance,
    Models,
)
from asr_diarization.errors import DeployError

UNUSABLE = ("not_available", "deprecated")
UNTOLD = "a value the host does not tell"


def check_new(api: Any, wish: Deployment) -> list[str]:
    """Remarks on an endpoint that is to be made; without an `api`, as far as our tables know.

    Raises:
        DeployError: it would not start.
    """
    check_replicas(wish, {})
    models = Models.of_variables({**wish.models, **wish.variables})
    check_models(models, has_image=bool(wish.image))
    return check_instance(api, models, wish.instance, wish.namespace) if wish.instance else []


def check_changed(api: Any, wish: Deployment, raw: Mapping[str, Any]) -> list[str]:
    """Remarks on an endpoint as it will be; none where its models and machine stay.

    Args:
        api: the client.
        wish: what is to change.
        raw: the endpoint, as the host describes it.

    Raises:
        DeployError: it would not start any more.
    """
    check_replicas(wish, raw["compute"].get("scaling") or {})
    changed = {**wish.models, **wish.variables}
    if not (wish.instance or wish.image or any(name.endswith("_MODEL") for name in changed)):
        return []
    model = raw["model"]
    untold = dict.fromkeys(model.get("secrets") or (), UNTOLD)
    models = Models.of_variables({**untold, **(model.get("env") or {}), **changed})
    has_image = "huggingface" not in (model.get("image") or {"huggingface": {}})
    check_models(models, has_image=bool(wish.image) or has_image)
    there = _instance_of(raw)
    machine = wish.instance or there
    machine = replace(machine, vendor=there.vendor, region=there.region)  # it does not move
    return check_instance(api, models, machine, wish.namespace)


def _instance_of(raw: Mapping[str, Any]) -> Instance:
    provider, compute = raw["provider"], raw["compute"]
    return Instance(
        provider["vendor"],
        provider["region"],
        compute["accelerator"],
        compute["instanceType"],
        compute["instanceSize"],
    )


def check_replicas(wish: Deployment, scaling: Mapping[str, Any]) -> None:
    """Refuse a range of replicas that is none; `scaling` is what the endpoint has.

    Raises:
        DeployError: with both numbers.
    """
    fewest = scaling.get("minReplica", 0) if wish.min_replica is None else wish.min_replica
    most = scaling.get("maxReplica") if wish.max_replica is None else wish.max_replica
    if most is not None and (fewest > most or fewest < 0 or most < 1):
        raise DeployError(
            f"from {fewest} to {most} replicas is no range: --min-replica may be 0 or more, and "
            "--max-replica 1 or more and no less than it"
        )


def check_models(models: Models, *, has_image: bool) -> None:
    """Refuse models that do not load together, or not in the container; unknown ones may do.

    Raises:
        DeployError: which, and what to take instead.
    """
    model, assistant = SIZES.get(models.asr), SIZES.get(models.assistant or "")
    if model and assistant and model.vocabulary != assistant.vocabulary:
        raise DeployError(
            f"the assistant {models.assistant} does not fit {models.asr}: vocabulary "
            f"{assistant.vocabulary} against {model.vocabulary}; take another --assistant-model, "
            "or '' for none"
        )
    if models.diarization == DIARIZATION_4 and not has_image:
        raise DeployError(
            f"{DIARIZATION_4} needs pyannote.audio 4, and the default container has 3.4: give an "
            f"--image, or take --diarization-model {DIARIZATION_31}"
        )


def check_instance(
    api: Any, models: Models, machine: Instance, namespace: str | None = None
) -> list[str]:
    """Remarks on the instance, after the client's list of hardware or else a table.

    Args:
        api: the client; None asks nobody.
        models: what is to fit.
        machine: on what.
        namespace: whose list.

    Raises:
        DeployError: there is no such instance, or the models do not fit on it.
    """
    remarks, memory = [], float(MEMORY_GB.get((machine.type, machine.size), 0))
    if hasattr(api, "list_inference_endpoints_hardware"):
        offer = _offer(api, machine, namespace)
        memory = offer.gpu_memory_gb or offer.memory_gb
        remarks.append(f"{offer.architecture}: {offer.price_per_hour} USD an hour and replica")
    needed = models.needed_gb(machine.accelerator)
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
