"""Whether the hub denied access to a repository: decided by the types of errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

Denial = Literal["gated", "missing", "denied"]
"""`gated`: its terms are not accepted. `missing`: there is no such repository, or it is private.
`denied`: the token is not valid, or lacks a permission."""


def find_denial(error: BaseException) -> Denial | None:
    """How the hub denied a repository; None if `error` has another cause.

    Libraries wrap the hub's errors in their own, so the causes of `error` are searched as well.
    """
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    for cause in _causes(error):
        if isinstance(cause, GatedRepoError):  # it is also a RepositoryNotFoundError
            return "gated"
        if isinstance(cause, RepositoryNotFoundError):
            return "missing"
        if isinstance(cause, HfHubHTTPError) and status_of(cause) in (401, 403):
            return "denied"
    return None


def status_of(error: BaseException) -> int | None:
    """The HTTP status in an error of the hub's client; None if there was no response."""
    status: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return status


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error`, what it was raised from or meanwhile, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
