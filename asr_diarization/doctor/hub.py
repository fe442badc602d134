"""Checks of the hub: the token, and whether it may read every repository that is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asr_diarization.doctor.directories import CHECKPOINT, WEIGHTS, is_hub_id, read_pipeline
from asr_diarization.doctor.findings import Finding, bad, good
from asr_diarization.model_info.access import find_denial, status_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

OnStep = Callable[[str], None]
"""Called with the subject of the next check."""
TOKENS_PAGE = "https://huggingface.co/settings/tokens"
MODELS_OF_PIPELINES = {
    "pyannote/speaker-diarization-3.1": (
        "pyannote/segmentation-3.0",
        "pyannote/wespeaker-voxceleb-resnet34-LM",
    ),
}
"""Models of gated pipelines whose `config.yaml` cannot be read yet."""
WEIGHT_KINDS = (".safetensors", ".bin", ".ckpt", ".pt", ".npz")


@contextmanager
def silent() -> Iterator[None]:
    """Silence the client's log: a finding says more than its lines about every attempt."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


class Hub:
    """The hub, asked with the token of the settings or else of `hf auth login`."""

    def __init__(self, token: str | None) -> None:
        from huggingface_hub import HfApi, get_token

        used = token or get_token()
        self._token_name = "HF_TOKEN" if token else "the token of hf auth login"
        self._api: HfApi = HfApi(token=used or False)
        self._has_token = used is not None
        self._cannot_read_gated = False
        self.is_down = False
        """Set by the first request without an answer; then no other request is sent."""

    def check_token(self) -> Finding:
        """Whether the token is valid; without a token, gated repositories cannot be read."""
        if not self._has_token:
            return good(
                "HF_TOKEN", "not set, and nobody is logged in: only public models can be read"
            )
        try:
            account = self._api.whoami()
        except Exception as error:  # noqa: BLE001  two generations of HTTP clients
            if status_of(error) == 401:
                return self._refused()
            return self._no_answer("HF_TOKEN", error)
        token = (account.get("auth") or {}).get("accessToken") or {}
        fine_grained = token.get("fineGrained")
        self._cannot_read_gated = fine_grained is not None and not fine_grained.get(
            "canReadGatedRepos"
        )
        return good(
            "HF_TOKEN", f"{self._token_name} is valid, of {account.get('name', 'an account')}"
        )

    def _refused(self) -> Finding:
        """The hub refuses every request with an invalid token: go on without a token."""
        from huggingface_hub import HfApi

        self._api, self._has_token = HfApi(token=False), False
        return bad(
            "HF_TOKEN",
            f"{self._token_name} is not valid (mistyped, expired or revoked): create a new one "
            f"with read access at {TOKENS_PAGE}",
        )

    def check_repository(self, repository: str, variable: str) -> Finding:
        """Whether the token may read the repository."""
        try:
            self._api.auth_check(repository)
        except Exception as error:  # noqa: BLE001  two generations of HTTP clients
            denial = find_denial(error)
            if denial == "gated":
                return bad(repository, self._gated(repository, variable))
            if denial == "missing":
                return bad(
                    repository,
                    f"{variable}: there is no repository {repository} on the hub, or it is private "
                    "and HF_TOKEN may not see it; check the name, or use a directory",
                )
            return self._no_answer(repository, error)
        return good(repository, "can be read")

    def named_by_pipeline(self, repository: str) -> tuple[str, ...]:
        """Repositories of the models that a pyannote pipeline of the hub names."""
        config = self.config(repository, "config.yaml")
        try:
            return named_repositories(config) if config else MODELS_OF_PIPELINES.get(repository, ())
        except ValueError:
            return ()  # its file on the hub is broken; loading reports it

    def config(self, repository: str, name: str) -> Path | None:
        """Download a small file of a repository; None if it cannot be read."""
        if self.is_down:
            return cached(repository, name)
        try:
            return Path(self._api.hf_hub_download(repository, name))
        except Exception:  # noqa: BLE001  `check_repository` reports it
            return None

    def weights(self, repository: str) -> tuple[int, int]:
        """Number of parameters (0 if unknown), and bytes that must still be downloaded."""
        if self.is_down:
            return 0, 0
        try:
            info = self._api.model_info(repository, files_metadata=True)
        except Exception:  # noqa: BLE001  `check_repository` reports it
            return 0, 0
        files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        needed = _weight_files(files)
        missing = [name for name in needed if cached(repository, name) is None]
        total = getattr(info.safetensors, "total", 0) if info.safetensors else 0
        return total, sum(files[name] for name in missing)

    def _gated(self, repository: str, variable: str) -> str:
        page = f"https://huggingface.co/{repository}"
        accept = f"{variable}: {repository} is gated; accept its terms at {page}"
        if not self._has_token:
            return f"{accept} and set HF_TOKEN to a token of that account ({TOKENS_PAGE})"
        if self._cannot_read_gated:
            return (
                f"{accept}, and allow this fine-grained HF_TOKEN to read public gated repositories "
                f"({TOKENS_PAGE})"
            )
        return f"{accept} with the account {self._token_name} belongs to"

    def _no_answer(self, subject: str, error: Exception) -> Finding:
        status = status_of(error)
        self.is_down = status is None or status >= 500
        reason = f"status {status}" if status else type(error).__name__
        return bad(
            "hub" if self.is_down else subject,
            f"the hub gave no answer about {subject} ({reason}); check the network and "
            "HF_ENDPOINT, or use directories as models",
        )


def named_repositories(config: Path) -> tuple[str, ...]:
    """Repositories that a pipeline's `config.yaml` names.

    Raises:
        ValueError: it is not the configuration of a pipeline.
    """
    named = (name.partition("@")[0] for name in read_pipeline(config).values())
    return tuple(dict.fromkeys(filter(is_hub_id, named)))


def cached(repository: str, name: str) -> Path | None:
    """A file of a repository in the hub's cache; None if it is not cached.

    Raises:
        HFValidationError: the repository has an impossible name.
    """
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name)
    return Path(found) if isinstance(found, str) else None


def check_offline(repository: str, variable: str) -> Finding:
    """Whether the cache holds the repository with its weights, since the hub is switched off."""
    is_pipeline = variable == "DIARIZATION_MODEL"
    config = cached(repository, "config.yaml" if is_pipeline else "config.json")
    if config is None:
        missing = ["all files"]
    elif is_pipeline:
        missing = _uncached_parts(repository, config)
    else:
        missing = [] if any(cached(repository, name) for name in WEIGHTS) else [WEIGHTS[0]]
    if not missing:
        return good(repository, "in the cache")
    return bad(
        repository,
        f"{variable}: {repository} is neither a directory nor in the cache (missing: "
        f"{', '.join(missing)}), and the hub is switched off (HF_HUB_OFFLINE=1); name a directory, "
        "or download it first",
    )


def _uncached_parts(repository: str, config: Path) -> list[str]:
    """Models of a cached pipeline that are not cached."""
    try:
        parts = read_pipeline(config).values()
    except ValueError as error:
        return [str(error)]
    missing = []
    for part in parts:
        inside = f"{part.removeprefix('$model/')}/{CHECKPOINT}"
        if is_hub_id(part) and not cached(part.partition("@")[0], CHECKPOINT):
            missing.append(part)
        if part.startswith("$model/") and "plda" not in part and not cached(repository, inside):
            missing.append(inside)
    return missing


def _weight_files(files: dict[str, int]) -> list[str]:
    """Files of the weights that are loaded; a repository may hold them in several formats."""
    tensors = [name for name in files if name.endswith(".safetensors") and "/" not in name]
    default = [name for name in tensors if "fp32" not in name]
    return default or tensors or [name for name in files if name.endswith(WEIGHT_KINDS)]
