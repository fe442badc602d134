import pytest

from asr_diarization.local_models.build import is_complete, publish


def fill(directory, text="weights"):
    (directory / "inner").mkdir(parents=True)
    (directory / "config").write_text("{}")
    (directory / "inner" / "data").write_text(text)


@pytest.fixture
def published(tmp_path):
    fill(tmp_path / "filled")
    publish(tmp_path / "filled", tmp_path / "deep" / "model", recipe=1)
    return tmp_path / "deep" / "model"


def test_what_is_published_is_complete(published) -> None:
    assert is_complete(published, recipe=1)
    assert (published / "inner" / "data").read_text() == "weights"


def test_nothing_is_not_complete(tmp_path) -> None:
    assert not is_complete(tmp_path / "absent", recipe=1)
    assert not is_complete(tmp_path, recipe=1)


def test_a_missing_file_is_noticed(published) -> None:
    (published / "inner" / "data").unlink()
    assert not is_complete(published, recipe=1)


def test_a_file_cut_short_is_noticed(published) -> None:
    (published / "inner" / "data").write_text("weight")
    assert not is_complete(published, recipe=1)


def test_a_broken_manifest_is_noticed(published) -> None:
    (published / "manifest.json").write_text("{")
    assert not is_complete(published, recipe=1)


def test_another_recipe_is_noticed(published) -> None:
    assert not is_complete(published, recipe=2)


def test_publishing_replaces_what_was_there(published, tmp_path) -> None:
    (published / "old").write_text("")
    fill(tmp_path / "again", "new")
    publish(tmp_path / "again", published, recipe=1)
    assert is_complete(published, recipe=1)
    assert not (published / "old").exists()
    assert (published / "inner" / "data").read_text() == "new"
