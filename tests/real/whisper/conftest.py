"""Checkpoints beside transformers' own models, loaded once for each module."""

import pytest

from tests.support.oracle import load


@pytest.fixture(scope="module")
def base(models_dir):
    return load(models_dir / "whisper-base")


@pytest.fixture(scope="module")
def tiny(models_dir):
    return load(models_dir / "whisper-tiny.en")
