"""Which errors mean that the hub denied a repository."""

from __future__ import annotations

import pytest
import requests
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from asr_diarization.model_info.access import find_denial, status_of


def hub_error(kind, status):
    """An error as the hub's client raises it after an answer of that status."""
    response = requests.Response()
    response.status_code = status
    return kind(f"{status} Client Error", response=response)


def handle(wrap, error):
    try:
        raise error
    except type(error) as original:
        wrap(original)


def raised(wrap, error):
    """What `wrap` raises while it handles `error`."""
    with pytest.raises((OSError, ValueError)) as caught:
        handle(wrap, error)
    return caught.value


def from_it(error):
    raise OSError("You are trying to access a restricted repo.") from error


def meanwhile(_):
    raise OSError("There was a specific connection error.")


def twice(error):
    raise ValueError("cannot load") from raised(from_it, error)


CASES = [
    (GatedRepoError, 401, "gated"),
    (GatedRepoError, 403, "gated"),
    (RepositoryNotFoundError, 401, "missing"),
    (RepositoryNotFoundError, 404, "missing"),
    (HfHubHTTPError, 401, "denied"),
    (HfHubHTTPError, 403, "denied"),
    (HfHubHTTPError, 404, None),
    (HfHubHTTPError, 500, None),
]


@pytest.mark.parametrize(("kind", "status", "denial"), CASES)
def test_the_type_and_the_status_decide(kind, status, denial):
    error = hub_error(kind, status)
    assert find_denial(error) == denial
    assert status_of(error) == status


@pytest.mark.parametrize("wrap", [from_it, meanwhile, twice])
@pytest.mark.parametrize(("kind", "status", "denial"), CASES)
def test_libraries_may_wrap_it(kind, status, denial, wrap):
    assert find_denial(raised(wrap, hub_error(kind, status))) == denial


@pytest.mark.parametrize("folder", ["2403/whisper", "401", "gated", "models-403/tiny"])
def test_the_words_of_a_message_decide_nothing(tmp_path, folder):
    missing = tmp_path / folder / "config.json"
    with pytest.raises(OSError, match=folder) as caught:
        missing.read_bytes()
    assert find_denial(caught.value) is None
    assert find_denial(raised(meanwhile, caught.value)) is None


@pytest.mark.parametrize("kind", [LocalEntryNotFoundError, ConnectionError, ValueError])
def test_an_error_without_a_response_is_no_denial(kind):
    error = kind("401 gated")
    assert (find_denial(error), status_of(error)) == (None, None)


def test_a_file_that_a_repository_lacks_is_no_denial():
    assert not issubclass(EntryNotFoundError, RepositoryNotFoundError)
    assert find_denial(raised(meanwhile, LocalEntryNotFoundError("config.json"))) is None


def test_the_cause_may_be_an_error_that_was_handled_before():
    error = OSError("cannot load")
    error.__cause__ = hub_error(GatedRepoError, 403)
    assert find_denial(error) == "gated"
