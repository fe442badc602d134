"""What keeps models from loading is told without a hub: directories, cache, libraries, settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import huggingface_hub
import pytest

from asr_diarization import assembly
from asr_diarization.assembly import load_pipeline
from asr_diarization.cli.main import main
from asr_diarization.config import ModelSettings
from asr_diarization.doctor.examine import examine
from asr_diarization.doctor.findings import faults
from asr_diarization.errors import ModelLoadError
from handler import EndpointHandler
from tests.support.paths import REPO

POINTER = "version https://git-lfs.github.com/spec/v1\n"


def told(**settings) -> dict[str, str]:
    """What is wrong, by subject."""
    return {fault.subject: fault.text for fault in faults(examine(ModelSettings(**settings)))}


@pytest.fixture
def whisper(models_dir, tmp_path):
    """A checkpoint that may be broken."""
    return shutil.copytree(models_dir / "whisper-tiny.en", tmp_path / "whisper")


@pytest.fixture
def voices(models_dir, tmp_path):
    """A pipeline that may be broken."""
    return shutil.copytree(models_dir / "diarization", tmp_path / "voices")


def refused(**settings: object) -> str:
    """What the doctor says of it, and the loader alike, before a weight is loaded."""
    (text,) = told(**settings).values()
    with pytest.raises(ModelLoadError) as caught:
        load_pipeline(ModelSettings(**settings))
    assert str(caught.value) == text
    return text


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "model.safetensors is missing"),
        (POINTER, "model.safetensors is only a pointer to it; run git lfs pull there"),
        ("nonsense", "model.safetensors is no safetensors file"),
    ],
)
def test_weights_that_are_none(whisper, content, complaint):
    weights = whisper / "model.safetensors"
    weights.unlink() if content is None else weights.write_text(content)
    assert complaint in refused(asr_model=str(whisper))


def test_weights_whose_end_is_missing(whisper):
    weights = whisper / "model.safetensors"
    size = weights.stat().st_size
    with weights.open("rb+") as file:
        file.truncate(size - 1)
    assert f"has {size - 1} of {size} bytes; copy it again" in refused(asr_model=str(whisper))


def test_weights_in_parts(whisper):
    (whisper / "model.safetensors").rename(whisper / "part-1.safetensors")
    index = {"weight_map": {"a": "part-1.safetensors"}}
    (whisper / "model.safetensors.index.json").write_text(json.dumps(index))
    assert told(asr_model=str(whisper)) == {}
    (whisper / "part-1.safetensors").unlink()
    assert "part-1.safetensors is missing" in refused(asr_model=str(whisper))


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ("pipeline: [", "config.yaml cannot be read as one"),
        ("params: {}", "config.yaml cannot be read as one ('pipeline')"),
        (POINTER, "config.yaml cannot be read as one"),
    ],
)
def test_a_pipeline_whose_configuration_is_broken(models_dir, voices, config, complaint):
    (voices / "config.yaml").write_text(config)
    text = refused(asr_model=str(models_dir / "whisper-base"), diarization_model=str(voices))
    assert complaint in text


@pytest.mark.parametrize(
    "part", ["segmentation/pytorch_model.bin", "embedding/pytorch_model.bin", "plda"]
)
def test_a_pipeline_without_a_part(models_dir, voices, part):
    path = voices / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    text = refused(asr_model=str(models_dir / "whisper-base"), diarization_model=str(voices))
    assert f"{part} is missing" in text


def test_a_pipeline_cloned_without_its_large_files(models_dir, voices):
    (voices / "embedding" / "pytorch_model.bin").write_text(POINTER)
    text = refused(asr_model=str(models_dir / "whisper-base"), diarization_model=str(voices))
    assert "embedding/pytorch_model.bin is only a pointer" in text


def test_a_precision_the_device_does_not_have(models_dir):
    base = str(models_dir / "whisper-base")
    found = told(asr_model=base, device="cpu", precision="float16")
    assert found == {
        "device": "PRECISION=float16 is for accelerators; on a CPU use auto or bfloat16"
    }


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """The hub's cache: `put` adds a file of a repository to it."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))

    def put(repository: str, name: str, content: bytes = b"x") -> None:
        here = folder / f"models--{repository.replace('/', '--')}"
        path = here / "snapshots" / ("0" * 40) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        (here / "refs").mkdir(exist_ok=True)
        (here / "refs" / "main").write_text("0" * 40)

    return put


def test_a_cached_whisper_without_weights(models_dir, cache):
    config = (models_dir / "whisper-base" / "config.json").read_bytes()
    cache("speech/whisper", "config.json", config)
    assert "(missing: model.safetensors)" in told(asr_model="speech/whisper")["speech/whisper"]
    cache("speech/whisper", "model.safetensors")
    assert told(asr_model="speech/whisper") == {}


def test_a_cached_pipeline_without_its_models(models_dir, cache):
    asr = str(models_dir / "whisper-base")
    config = """
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    segmentation: voices/segmentation
    embedding: $model/embedding
    plda: $model/plda
"""
    cache("voices/pipeline", "config.yaml", config.encode())
    text = told(asr_model=asr, diarization_model="voices/pipeline")["voices/pipeline"]
    assert "(missing: voices/segmentation, embedding/pytorch_model.bin)" in text
    cache("voices/segmentation", "pytorch_model.bin")
    cache("voices/pipeline", "embedding/pytorch_model.bin")
    assert told(asr_model=asr, diarization_model="voices/pipeline") == {}


def doctor(local_models, code: str, **variables: str) -> tuple[int, dict[str, object]]:
    """Exit code and report of `doctor --json` in a process that `code` has prepared."""
    program = (
        f"{code}\nfrom asr_diarization.cli.main import main\n"
        "raise SystemExit(main(['doctor', '--json']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=False,
        env={**local_models, "PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", **variables},
        timeout=300,
    )  # fmt: skip
    assert "Traceback" not in ended.stderr
    return ended.returncode, json.loads(ended.stdout)


@pytest.mark.parametrize("name", ["av", "numpy", "huggingface_hub", "safetensors", "tqdm", "torch"])
def test_a_library_that_cannot_be_imported(local_models, name):
    code, report = doctor(local_models, f"import sys; sys.modules[{name!r}] = None")
    wrong = {one["subject"]: one["text"] for one in report["findings"] if not one["is_ok"]}
    found = {one["subject"] for one in report["findings"]}
    assert {"versions", f"ASR_MODEL {local_models['ASR_MODEL']}"} <= found
    if name != "tqdm":
        assert code == 1
        assert f"{name if name != 'av' else 'PyAV'} cannot be imported" in "; ".join(wrong.values())


def test_a_torch_that_is_broken(local_models, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.12: not there')")
    code, report = doctor(local_models, "", PYTHONPATH=str(tmp_path))
    wrong = {one["subject"]: one["text"] for one in report["findings"] if not one["is_ok"]}
    assert code == 1
    assert "torch cannot be imported (libcudart.so.12: not there); install" in wrong["torch"]
    assert len(report["findings"]) > 4


def test_settings_that_are_not_allowed(local_models):
    code, report = doctor(local_models, "", DEVICE="gpu", PRECISION="half")
    assert code == 1
    (finding,) = report["findings"]
    assert finding["text"] == (
        "DEVICE must be auto, cpu, mps, cuda or cuda:N, not 'gpu'; PRECISION must be "
        "'auto', 'float32', 'bfloat16', 'float16' or 'int8', not 'half'"
    )


def test_the_handler_ends_its_log_with_what_is_not_allowed(monkeypatch):
    monkeypatch.setenv("DEVICE", "gpu")
    with pytest.raises(ModelLoadError, match=r"^DEVICE must be auto, cpu") as caught:
        EndpointHandler("")
    assert caught.value.__suppress_context__


def test_a_pipelines_models_are_kept_in_the_hubs_cache(tmp_path):
    """pyannote 3 has a cache of its own; what is in the hub's would be downloaded once more."""
    program = """
from asr_diarization.diarization.pyannote_pipeline import load_pyannote
from asr_diarization.errors import ModelLoadError
try:
    load_pyannote('voices/nobody', None)
except ModelLoadError:
    pass
import pyannote.audio.core.model
from huggingface_hub import constants
print(getattr(pyannote.audio.core.model, 'CACHE_DIR', None) in (None, constants.HF_HUB_CACHE))
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, env=environment,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ended.stdout.splitlines()[-1:] == ["True"], ended.stderr


def test_commands_that_look_at_a_deployment_import_nothing_heavy():
    program = (
        "import sys; from asr_diarization.cli.main import make_parser; "
        "make_parser(); print(*sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True
    )
    heavy = {"av", "numpy", "torch", "tqdm", "huggingface_hub", "transformers"}
    assert not heavy & set(ended.stdout.split())


def test_local_directories_need_no_hub(local_models, monkeypatch, capsys):
    for name, value in local_models.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor"]) == 0  # sockets are blocked here
    assert "no problems found" in capsys.readouterr().out


def test_a_model_that_is_in_no_cache(local_models, monkeypatch, capsys):
    monkeypatch.setenv("ASR_MODEL", "speech/whisper")
    assert main(["doctor", "--offline"]) == 1
    assert "neither a directory nor in the cache" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--offline"]])
def test_a_path_where_nothing_is(monkeypatch, tmp_path, capsys, options):
    monkeypatch.setenv("ASR_MODEL", str(tmp_path / "nothing"))
    assert main(["doctor", *options]) == 1
    assert "nothing is no directory here" in capsys.readouterr().out
    with pytest.raises(ModelLoadError, match=r"^ASSISTANT_MODEL: a/b/c is no directory here"):
        load_pipeline(ModelSettings(asr_model="speech/whisper", assistant_model="a/b/c"))


def test_a_directory_that_is_something_else(models_dir):
    found = told(
        asr_model=str(models_dir / "diarization"), diarization_model=str(models_dir / "ct2")
    )
    assert len(found) == 2
    assert all("does not hold" in text for text in found.values())


def test_a_device_that_is_not_there(models_dir):
    found = told(asr_model=str(models_dir / "whisper-base"), device="cuda:7")
    assert "DEVICE=cuda:7 is not available" in found["device"]


def test_an_assistant_is_refused_before_loading(models_dir, monkeypatch):
    monkeypatch.setattr(assembly, "_load", lambda *_: pytest.fail("weights were loaded"))
    settings = ModelSettings(
        asr_model=str(models_dir / "whisper-base"),
        assistant_model=str(models_dir / "whisper-tiny.en"),
    )
    with pytest.raises(ModelLoadError, match=r"^ASSISTANT_MODEL .* vocabulary 51864"):
        load_pipeline(settings)
