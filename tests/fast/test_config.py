"""What the two configurations promise."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from asr_diarization.config import MAX_SPEAKERS, InferenceConfig, ModelSettings, read_settings
from asr_diarization.errors import ModelLoadError

SETTINGS = tuple(name.upper() for name in ModelSettings.model_fields)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


# The operator's settings


def test_settings_work_without_any_variable():
    settings = ModelSettings()
    assert settings.asr_model == "openai/whisper-large-v3-turbo"
    assert settings.assistant_model is settings.diarization_model is settings.hf_token is None
    assert settings.max_audio_seconds > 0


def test_empty_variables_count_as_unset(monkeypatch):
    for name in SETTINGS:
        monkeypatch.setenv(name, "")
    assert ModelSettings() == ModelSettings.model_construct()


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("ASR_MODEL", "models/whisper-base")
    monkeypatch.setenv("MAX_AUDIO_SECONDS", "7200")
    settings = ModelSettings()
    assert settings.asr_model == "models/whisper-base"
    assert settings.max_audio_seconds == 7200


def test_the_token_is_in_no_representation(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    settings = ModelSettings()
    assert settings.hf_token is not None
    assert settings.hf_token.get_secret_value() == "hf_secret"
    shown = (repr(settings), str(settings), settings.model_dump_json(), f"{settings.hf_token}")
    assert not any("hf_secret" in text for text in shown)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("hf_x\n", "hf_x"),
        ("  hf_x\r\n", "hf_x"),
        ("\ufeffhf_x\n", "hf_x"),
        ("\udcef\udcbb\udcbfhf_x", "hf_x"),
        (" \r\n", None),
        ("\ufeff\n", None),
    ],
)
def test_what_a_file_has_around_the_token_is_no_part_of_it(monkeypatch, written, meant):
    monkeypatch.setenv("HF_TOKEN", written)
    token = ModelSettings().hf_token
    assert (token and token.get_secret_value()) == meant


def test_the_token_is_in_no_complaint_about_another_variable(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("MAX_AUDIO_SECONDS", "none")
    with pytest.raises(ValidationError) as caught:
        ModelSettings()
    assert "hf_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_AUDIO_SECONDS", "0"),
        ("MAX_AUDIO_SECONDS", "-1"),
        ("MAX_AUDIO_SECONDS", "nan"),
        ("DEVICE", "tpu"),
        ("DEVICE", "cuda:x"),
        ("PRECISION", "float8"),
    ],
)
def test_settings_out_of_bounds_are_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        ModelSettings()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "tpu"}, "DEVICE must be auto, cpu, mps, cuda or cuda:N, not 'tpu'"),
        (
            {"precision": "float8"},
            "PRECISION must be 'auto', 'float32', 'bfloat16', 'float16' or 'int8', not 'float8'",
        ),
        ({"max_audio_seconds": 0}, "MAX_AUDIO_SECONDS must be greater than 0, not 0"),
        ({"hf_token": 123}, "HF_TOKEN must be a valid string, not that"),
        ({"device": 1, "max_audio_seconds": -1}, "DEVICE .*; MAX_AUDIO_SECONDS .*"),
    ],
)
def test_each_setting_that_is_not_allowed_is_named(given, message):
    with pytest.raises(ModelLoadError, match=f"^{message}$") as caught:
        read_settings(ModelSettings, given)
    assert caught.value.__cause__ is None


def test_settings_that_are_given_come_before_the_environment(monkeypatch):
    monkeypatch.setenv("ASR_MODEL", "from/environment")
    monkeypatch.setenv("DEVICE", "cpu")
    settings = read_settings(ModelSettings, {"asr_model": "given/here"})
    assert (settings.asr_model, settings.device) == ("given/here", "cpu")


# The caller's parameters


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, InferenceConfig()),
        ({"num_speakers": "2"}, InferenceConfig(num_speakers=2)),
        ({"num_speakers": ""}, InferenceConfig()),
        ({"num_speakers": " "}, InferenceConfig()),
        ({"language": ""}, InferenceConfig()),
        ({"initial_prompt": " "}, InferenceConfig()),
        ({"chunk_length_s": "12.5"}, InferenceConfig(chunk_length_s=12.5)),
        ({"assisted": "true", "diarize": "false"}, InferenceConfig(assisted=True, diarize=False)),
        ({"assisted": 1, "diarize": "0"}, InferenceConfig(assisted=True, diarize=False)),
        ({"min_speakers": 3, "max_speakers": 3}, InferenceConfig(min_speakers=3, max_speakers=3)),
        ({"unheard_of": 1}, InferenceConfig()),
    ],
)
def test_values_as_a_query_string_gives_them(given, expected):
    assert InferenceConfig.model_validate(given) == expected


@pytest.mark.parametrize("field", ["num_speakers", "min_speakers", "max_speakers"])
@pytest.mark.parametrize("value", [0, -1, MAX_SPEAKERS + 1, 2.5, True, False, "two", "true", [2]])
def test_speaker_counts_that_make_no_sense(field, value):
    with pytest.raises(ValidationError):
        InferenceConfig.model_validate({field: value})


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("batch_size", 1, 256),
        ("chunk_length_s", 1, 30),
        ("num_speakers", 1, MAX_SPEAKERS),
        ("min_speakers", 1, MAX_SPEAKERS),
        ("max_speakers", 1, MAX_SPEAKERS),
        ("sampling_rate", 1000, 768000),
    ],
)
def test_bounds_are_inclusive_and_in_the_schema(field, lowest, highest):
    for inside in (lowest, highest):
        assert getattr(InferenceConfig.model_validate({field: inside}), field) == inside
    for outside in (lowest - 1, highest + 1, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            InferenceConfig.model_validate({field: outside})
    schema = InferenceConfig.model_json_schema()["properties"][field]
    schema = schema.get("anyOf", [schema])[0]
    assert (schema["minimum"], schema["maximum"]) == (lowest, highest)


@pytest.mark.parametrize(
    "given",
    [
        {"num_speakers": 2, "min_speakers": 1},
        {"num_speakers": 2, "max_speakers": 3},
        {"num_speakers": 2, "min_speakers": 2, "max_speakers": 2},
        {"min_speakers": 3, "max_speakers": 2},
        {"task": "summarize"},
        {"task": None},
        {"language": "x" * 33},
        {"language": 5},
        {"initial_prompt": "x" * 2001},
        {"assisted": "perhaps"},
        {"batch_size": True},
        {"sampling_rate": True},
    ],
)
def test_parameters_that_are_refused(given):
    with pytest.raises(ValidationError):
        InferenceConfig.model_validate(given)


@pytest.mark.parametrize(("value", "field"), [(ModelSettings, "device"), (InferenceConfig, "task")])
def test_both_are_frozen(value, field):
    with pytest.raises(ValidationError):
        setattr(value(), field, "x")


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ({}, (1, math.inf)),
        ({"num_speakers": 3}, (3, 3)),
        ({"min_speakers": 2}, (2, math.inf)),
        ({"max_speakers": 4}, (1, 4)),
        ({"min_speakers": 2, "max_speakers": 2}, (2, 2)),
    ],
)
def test_bounds_of_the_number_of_speakers(given, bounds):
    assert InferenceConfig(**given).speaker_bounds == bounds


def test_known_speakers_are_at_most_20():
    known = [{"name": f"Ann {number}", "audio": b"RIFF"} for number in range(20)]
    assert len(InferenceConfig(known_speakers=known).known_speakers) == 20
    with pytest.raises(ValidationError, match="at most 20 items"):
        InferenceConfig(known_speakers=[*known, {"name": "Bob", "audio": b"RIFF"}])


def test_every_parameter_says_what_it_is_for():
    for name, field in InferenceConfig.model_fields.items():
        assert field.description, name


def test_an_unknown_precision_is_refused_with_those_there_are(monkeypatch):
    monkeypatch.setenv("PRECISION", "half")
    with pytest.raises(ModelLoadError, match=r"PRECISION must be 'auto', .* or 'int8', not 'half'"):
        read_settings(ModelSettings)


def test_a_name_is_one_line():
    known = [{"name": "Ann\tSmith\n\n2", "audio": b"RIFF"}]
    (speaker,) = InferenceConfig(known_speakers=known).known_speakers
    assert speaker.name == "Ann Smith 2"
    with pytest.raises(ValidationError):
        InferenceConfig(known_speakers=[{"name": " \n", "audio": b"RIFF"}])


@pytest.mark.parametrize("name", ["\ud800", "Ann\udfff", "Ann\x00", "An\x1bn"])
def test_names_can_be_written_into_every_answer(name):
    with pytest.raises(ValidationError, match="known_speakers"):
        InferenceConfig(known_speakers=[{"name": name, "audio": b"RIFF"}])


def test_names_may_be_in_any_script():
    for name in (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f469\u200d\U0001f680",
        "Jos\u00e9",
    ):
        known = [{"name": name, "audio": b"RIFF"}]
        assert InferenceConfig(known_speakers=known).known_speakers[0].name == name


def test_half_a_character_is_no_prompt():
    with pytest.raises(ValidationError, match="initial_prompt"):
        InferenceConfig(initial_prompt="Ebenezer \ud83d")
