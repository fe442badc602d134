"""Whether the hub lets this token have every repository that will be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from asr_diarization.findings import Finding, bad, good

OnStep = Callable[[str], None]
"""Told what is about to be checked."""
TOKENS_PAGE = "https://huggingface.co/settings/tokens"
COMPANIONS = {
    "pyannote/speaker-diarization-3.1": (
        "pyannote/segmentation-3.0",
        "pyannote/wespeaker-voxceleb-resnet34-LM",
    ),
}
"""What pipelines name whose own configuration may not be read yet."""
WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt", ".npz")


class Hub:
    """The hub as one token sees it."""

    def __init__(self, token: str | None) -> None:
        from huggingface_hub import HfApi

        self._api = HfApi(token=token)
        self._has_token = token is not None
        self._cannot_read_gated = False

    def check_token(self) -> Finding:
        """Whether the token is one; without any, gated repositories stay closed."""
        if not self._has_token:
            return good("HF_TOKEN", "not set: only public models can be read")
        try:
            account = self._api.whoami()
        except Exception as error:  # noqa: BLE001  two generations of HTTP clients
            if _status(error) == 401:
                return bad(
                    "HF_TOKEN",
                    "HF_TOKEN is not valid (mistyped, expired or revoked): make a new one with "
                    f"read access at {TOKENS_PAGE}",
                )
            return _unreachable("HF_TOKEN", error)
        token = (account.get("auth") or {}).get("accessToken") or {}
        fine = token.get("fineGrained")
        self._cannot_read_gated = fine is not None and not fine.get("canReadGatedRepos")
        return good("HF_TOKEN", f"valid, of {account.get('name', 'an account')}")

    def check_repository(self, repository: str, variable: str) -> Finding:
        """Whether its files may be read."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        try:
            self._api.auth_check(repository)
        except GatedRepoError:
            return bad(repository, self._gated(repository, variable))
        except RepositoryNotFoundError:
            return bad(
                repository,
                f"{variable}: there is no repository {repository} on the hub, or it is private and "
                "HF_TOKEN may not see it; check the name, or use a directory",
            )
        except Exception as error:  # noqa: BLE001  two generations of HTTP clients
            return _unreachable(repository, error)
        return good(repository, "may be read")

    def named_by_pipeline(self, source: str) -> tuple[str, ...]:
        """Repositories that a pyannote pipeline (directory or hub id) takes its models from."""
        try:
            if Path(source).is_dir():
                path = Path(source) / "config.yaml"
            else:
                path = Path(self._api.hf_hub_download(source, "config.yaml"))
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
            parts = config["pipeline"]["params"].values()
        except Exception:  # noqa: BLE001  closed or broken; its own check says so
            return COMPANIONS.get(source, ())
        return tuple(dict.fromkeys(_repositories(parts)))

    def config(self, repository: str, name: str) -> Path | None:
        """A small file of a repository, downloaded; None when it cannot be read."""
        try:
            return Path(self._api.hf_hub_download(repository, name))
        except Exception:  # noqa: BLE001  closed or gone; its own check says so
            return None

    def weights(self, repository: str) -> tuple[int, int]:
        """Parameters (0 when the hub does not say) and bytes still to be downloaded."""
        try:
            info = self._api.model_info(repository, files_metadata=True)
        except Exception:  # noqa: BLE001  its own check says so
            return 0, 0
        files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        wanted = _loaded(files)
        missing = [name for name in wanted if cached(repository, name) is None]
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
        return f"{accept} with the account HF_TOKEN belongs to"


def cached(repository: str, name: str) -> Path | None:
    """A file of a repository in the hub's cache; None when it is not there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, name)
    return Path(found) if isinstance(found, str) else None


def check_offline(repository: str, variable: str) -> Finding:
    """With the hub switched off, only what is in the cache can be loaded."""
    name = "config.yaml" if variable == "DIARIZATION_MODEL" else "config.json"
    if cached(repository, name):
        return good(repository, "in the cache")
    return bad(
        repository,
        f"{variable}: {repository} is neither a directory nor in the cache, and the hub is "
        "switched off (HF_HUB_OFFLINE=1); name a directory, or download it first",
    )


def _repositories(parts: Iterable[Any]) -> Iterator[str]:
    """Hub ids among the values of a pipeline's configuration."""
    for part in parts:
        name = part.get("checkpoint") if isinstance(part, dict) else part
        if isinstance(name, str) and name.count("/") == 1 and not name.startswith(("$", "/", ".")):
            yield name.partition("@")[0]


def _loaded(files: dict[str, int]) -> list[str]:
    """The weights a loader takes: safetensors if there are any; the same weights come twice."""
    tensors = [name for name in files if name.endswith(".safetensors") and "/" not in name]
    whole = [name for name in tensors if "fp32" not in name]
    return whole or tensors or [name for name in files if name.endswith(WEIGHTS)]


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    return getattr(response, "status_code", None)


def _unreachable(subject: str, error: Exception) -> Finding:
    why = f"status {_status(error)}" if _status(error) else type(error).__name__
    return bad(
        subject,
        f"the hub could not be asked about {subject} ({why}); check the network and HF_ENDPOINT, "
        "or use directories as models",
    )
