"""All checks of a deployment, run before any weights are loaded."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_diarization.config import ModelSettings
from asr_diarization.doctor import machine
from asr_diarization.doctor.directories import check_directory
from asr_diarization.doctor.findings import Finding, bad, good, paragraph, problems
from asr_diarization.doctor.hub import (
    Hub,
    OnStep,
    cached,
    check_offline,
    named_repositories,
    silent,
)
from asr_diarization.doctor.versions import check_versions, installed_version
from asr_diarization.errors import ModelLoadError
from asr_diarization.model_info.compatibility import check_fit, fit_of_config
from asr_diarization.model_info.memory import (
    WhisperSize,
    local_parameters,
    needed_bytes,
    read_json,
    whisper_size,
)
from asr_diarization.model_info.sources import Sources, find_sources

logger = logging.getLogger(__name__)


def check_quickly(settings: ModelSettings, model_dir: str = "") -> None:
    """The checks that take milliseconds: they need no hub and no weights.

    Raises:
        ModelLoadError: there are problems; one paragraph names all of them.
    """
    began = time.perf_counter()
    sources = find_sources(settings, model_dir)
    misnamed = _misnamed(sources)
    found = [*misnamed, *_checks_of_machine(sources), *_checks_of_local(sources)]
    if not misnamed:
        found += [*_check_cache(sources), *_check_assistant(sources, None)]
    logger.debug("checked in %.3f s", time.perf_counter() - began)
    if problems(found):
        raise ModelLoadError(paragraph(found))


def explain(error: ModelLoadError, settings: ModelSettings, model_dir: str = "") -> ModelLoadError:
    """`error` joined with what `examine` finds, or replaced by it if that is a better message."""
    message = str(error)
    found = [one for one in problems(examine(settings, model_dir)) if one.text != message]
    if not found:
        return error
    if any("/" in problem.subject and problem.subject in message for problem in found):
        return ModelLoadError(paragraph(found))
    return ModelLoadError(f"{message}. Besides: {paragraph(found)}")


@silent()
def examine(
    settings: ModelSettings,
    model_dir: str = "",
    on_step: OnStep = lambda _: None,
    *,
    is_offline: bool = False,
) -> list[Finding]:
    """All checks; the hub is not asked if it is switched off or every model is a directory."""
    sources = find_sources(settings, model_dir)
    found = [*_checks_of_machine(sources), *machine.check_imports()]
    found += _checks_of_local(sources)
    if not _has_hub(found):
        return found  # the other checks need huggingface_hub
    from huggingface_hub import constants

    if misnamed := _misnamed(sources):
        return [*misnamed, *found]  # the hub does not accept such names
    found += _check_cache(sources)
    hub = None
    if is_offline or constants.HF_HUB_OFFLINE:
        found += [
            check_offline(name, variable) for name, variable in _named_directly(sources).items()
        ]
    elif repositories := _named_directly(sources) | _named_by_local_pipeline(sources):
        hub = Hub(settings.hf_token.get_secret_value() if settings.hf_token else None)
        found += _checks_of_hub(hub, repositories, sources, on_step)
    found += _check_assistant(sources, hub)
    needed = {"versions", "FFmpeg", *machine.LIBRARIES}
    if not needed & {finding.subject for finding in problems(found)}:
        found += _checks_of_sizes(settings, sources, hub)
    return found


def _has_hub(found: list[Finding]) -> bool:
    """Whether huggingface_hub can be used; if not, a finding already reports it."""
    is_broken = any(problem.subject == "huggingface_hub" for problem in problems(found))
    return not is_broken and installed_version("huggingface_hub") is not None


def _misnamed(sources: Sources) -> list[Finding]:
    """Models whose names are neither directories nor valid repository names."""
    from huggingface_hub.errors import HFValidationError

    found = []
    for source, variable in _named_directly(sources).items():
        try:
            cached(source, "config.json")
        except HFValidationError:
            text = f"{variable}: {source} is neither a directory here nor a valid repository name"
            found.append(bad(source, f"{text} (owner/name, for example openai/whisper-base)"))
    return found


def _checks_of_machine(sources: Sources) -> list[Finding]:
    found = check_versions(speakers=sources.diarization is not None)
    return [*found, machine.check_ffmpeg(), machine.check_temporary()]


def _check_cache(sources: Sources) -> list[Finding]:
    """Whether downloads can be stored; a cache that holds every model may be read-only."""
    from huggingface_hub import constants

    if all(_is_cached(source) for source in _named_directly(sources)):
        return []
    return [machine.check_writable(Path(constants.HF_HUB_CACHE), "HF_HUB_CACHE")]


def _named_directly(sources: Sources) -> dict[str, str]:
    """Hub ids of the settings, each with the variable that names it."""
    named = sources.by_variable().items()
    return {source: variable for variable, source in named if not Path(source).is_dir()}


def _named_by_local_pipeline(sources: Sources) -> dict[str, str]:
    if sources.diarization is None or not Path(sources.diarization).is_dir():
        return {}
    try:
        named = named_repositories(Path(sources.diarization) / "config.yaml")
    except ValueError:
        return {}  # `check_directory` reports it
    return dict.fromkeys(named, "DIARIZATION_MODEL")


def _checks_of_hub(
    hub: Hub, repositories: dict[str, str], sources: Sources, on_step: OnStep
) -> list[Finding]:
    on_step("HF_TOKEN")
    found = [hub.check_token()]
    found += _checks_of_repositories(hub, repositories, on_step)
    if sources.diarization in repositories and not hub.is_down:
        named = dict.fromkeys(hub.named_by_pipeline(str(sources.diarization)), "DIARIZATION_MODEL")
        others = {name: v for name, v in named.items() if name not in repositories}
        found += _checks_of_repositories(hub, others, on_step)
    return found


def _checks_of_repositories(
    hub: Hub, repositories: dict[str, str], on_step: OnStep
) -> Iterator[Finding]:
    for repository, variable in repositories.items():
        if hub.is_down:
            return
        on_step(repository)
        yield hub.check_repository(repository, variable)


def _checks_of_local(sources: Sources) -> list[Finding]:
    named = sources.by_variable().items()
    return [
        check_directory(source, variable) for variable, source in named if Path(source).is_dir()
    ]


def _check_assistant(sources: Sources, hub: Hub | None) -> list[Finding]:
    """Whether the assistant fits, from small files; no finding if they are missing."""
    if sources.assistant is None:
        return []
    fits = []
    for source in (sources.asr, sources.assistant):
        config, generation = (
            _small_file(source, name, hub) for name in ("config.json", "generation_config.json")
        )
        if config.get("model_type") != "whisper" or not generation:
            return []
        fits.append(fit_of_config(source, config, generation))
    try:
        check_fit(*fits)
    except ModelLoadError as error:
        return [bad("assistant", str(error))]
    return [good("assistant", f"{sources.assistant} fits {sources.asr}")]


def _small_file(source: str, name: str, hub: Hub | None) -> dict[str, Any]:
    path: Path | None = Path(source) / name
    if not Path(source).is_dir():
        path = hub.config(source, name) if hub else cached(source, name)
    return {} if path is None else read_json(path)


def _is_cached(repository: str) -> bool:
    return any(cached(repository, name) for name in ("config.json", "config.yaml"))


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of the models, in memory and as downloads."""

    whispers: list[WhisperSize]
    download_bytes: int


def _checks_of_sizes(settings: ModelSettings, sources: Sources, hub: Hub | None) -> list[Finding]:
    """Device, memory and disk; memory and disk only if the models' sizes are known."""
    from huggingface_hub import constants

    device = machine.check_device(settings.device, settings.precision)
    found = [device]
    sizes = _sizes(sources, hub)
    if sizes.whispers and device.is_ok:
        name = device.text
        needed = needed_bytes(sizes.whispers, diarization=bool(sources.diarization), device=name)
        found.append(machine.check_memory(needed, machine.available_bytes(name), name))
    if sizes.download_bytes:
        found.append(machine.check_disk(sizes.download_bytes, Path(constants.HF_HUB_CACHE)))
    return found


def _sizes(sources: Sources, hub: Hub | None) -> _Sizes:
    whispers, download_bytes = [], 0
    for source in filter(None, (sources.asr, sources.assistant)):
        parameters, missing = 0, 0
        if Path(source).is_dir():
            parameters = local_parameters(Path(source))
        elif hub:
            parameters, missing = hub.weights(source)
        config = _small_file(source, "config.json", hub)
        download_bytes += missing
        if parameters and "d_model" in config:
            whispers.append(whisper_size(config, parameters))
    return _Sizes(whispers, download_bytes)
