"""Checks of a deployment before an endpoint is created or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from huggingface_hub import HfApi

UNUSABLE = ("not_available", "deprecated")
UNKNOWN = "a value the host does not tell"


def check_new(api: HfApi | None, wanted: Deployment) -> list[str]:
    """Remarks on a new endpoint; without an `api`, only our own tables are asked.

    Raises:
        DeployError: it would not start.
    """
    check_replicas(wanted, {})
    models = Models.of_variables({**wanted.models, **wanted.variables})
    check_models(models, has_image=bool(wanted.image))
    if wanted.instance is None:
        return []
    return check_instance(api, models, wanted.instance, wanted.namespace)


def check_changed(api: HfApi, wanted: Deployment, raw: Mapping[str, Any]) -> list[str]:
    """Remarks on an endpoint after its change; none if its models and instance stay the same.

    Args:
        api: the client.
        wanted: the changes.
        raw: the endpoint, as the host describes it.

    Raises:
        DeployError: it would not start any more.
    """
    check_replicas(wanted, raw["compute"].get("scaling") or {})
    changed = {**wanted.models, **wanted.variables}
    if not (wanted.instance or wanted.image or any(name.endswith("_MODEL") for name in changed)):
        return []
    model = raw["model"]
    unknown = dict.fromkeys(model.get("secrets") or (), UNKNOWN)
    models = Models.of_variables({**unknown, **(model.get("env") or {}), **changed})
    has_image = "huggingface" not in (model.get("image") or {"huggingface": {}})
    check_models(models, has_image=bool(wanted.image) or has_image)
    present = _instance_of(raw)
    instance = wanted.instance or present
    instance = replace(instance, vendor=present.vendor, region=present.region)  # it does not move
    return check_instance(api, models, instance, wanted.namespace)


def _instance_of(raw: Mapping[str, Any]) -> Instance:
    provider, compute = raw["provider"], raw["compute"]
    return Instance(
        provider["vendor"],
        provider["region"],
        compute["accelerator"],
        compute["instanceType"],
        compute["instanceSize"],
    )


def check_replicas(wanted: Deployment, scaling: Mapping[str, Any]) -> None:
    """Refuse an impossible range of replicas; `scaling` holds the endpoint's present range.

    Raises:
        DeployError: the message has both numbers.
    """
    minimum = scaling.get("minReplica", 0) if wanted.min_replica is None else wanted.min_replica
    maximum = scaling.get("maxReplica") if wanted.max_replica is None else wanted.max_replica
    if maximum is not None and (minimum > maximum or minimum < 0 or maximum < 1):
        raise DeployError(
            f"{minimum} to {maximum} replicas is not a valid range: --min-replica must be 0 or "
            "more, and --max-replica 1 or more and at least --min-replica"
        )


def check_models(models: Models, *, has_image: bool) -> None:
    """Refuse models that do not fit each other or the container; unknown ones are accepted.

    Raises:
        DeployError: the message names the model and a replacement.
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
    api: HfApi | None, models: Models, instance: Instance, namespace: str | None = None
) -> list[str]:
    """Price and memory of the instance, from the client's list of hardware or else our table.

    Args:
        api: the client; with None, only our table is read.
        models: they must fit into the instance's memory.
        instance: the machine.
        namespace: the account whose list of hardware is read.

    Raises:
        DeployError: there is no such instance, or the models do not fit on it.
    """
    remarks, memory = [], float(MEMORY_GB.get((instance.type, instance.size), 0))
    if api is not None and hasattr(api, "list_inference_endpoints_hardware"):
        offer = _offer(api, instance, namespace)
        memory = offer.gpu_memory_gb or offer.memory_gb
        remarks.append(f"{offer.architecture}: {offer.price_per_hour} USD per hour and replica")
    needed = models.needed_gb(instance.accelerator)
    name = f"{instance.type} {instance.size}"
    if not needed or not memory:
        return [*remarks, f"memory not checked: models or {name} are not in our tables"]
    if needed > memory:
        raise DeployError(
            f"the models need about {needed:.1f} GB (computed) and {name} has {memory:.0f} GB: "
            "take a larger --instance-type, or a smaller --asr-model"
        )
    return [*remarks, f"memory: about {needed:.1f} GB (computed) of {memory:.0f} GB on {name}"]


def _offer(api: HfApi, instance: Instance, namespace: str | None) -> Any:
    """The instance in the list of hardware that this account can have."""
    offers = [
        offer
        for offer in api.list_inference_endpoints_hardware(namespace=namespace)
        if (offer.vendor, offer.region, offer.accelerator)
        == (instance.vendor, instance.region, instance.accelerator)
        and offer.status not in UNUSABLE
    ]
    for offer in offers:
        if (offer.instance_type, offer.instance_size) == (instance.type, instance.size):
            return offer
    names = ", ".join(sorted({f"{offer.instance_type} {offer.instance_size}" for offer in offers}))
    place = f"{instance.vendor} {instance.region} {instance.accelerator}"
    raise DeployError(
        f"{instance.type} {instance.size} is not available at {place}; "
        + (f"available: {names}" if names else "choose another --vendor, --region, --accelerator")
    )
