"""Request bodies, as hosts and clients really send them."""

from __future__ import annotations

import base64
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_diarization import payloads
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidAudioError, InvalidParameterError, InvalidRequestError
from asr_diarization.payloads import MAX_WARNINGS, gather_fields, parse_parameters, parse_payload

# Every byte value: the alphabets differ in + - / _, which need 0xFB and 0xFF to appear.
AUDIO = bytes(range(256)) + b"\xfb\xff\xfe"
BASE64 = base64.b64encode(AUDIO).decode()
URL_SAFE = base64.urlsafe_b64encode(AUDIO).decode()


@pytest.mark.parametrize(
    "inputs",
    [
        AUDIO,
        bytearray(AUDIO),
        memoryview(AUDIO),
        BASE64,
        URL_SAFE,
        BASE64.rstrip("="),
        base64.encodebytes(AUDIO).decode(),
        "\r\n ".join(BASE64),
        f"\n{BASE64}\n",
        f"data:audio/wav;base64,{BASE64}",
        f"data:audio/webm;codecs=opus;base64,{URL_SAFE}",
        f"data:;base64,{BASE64}",
        f" DATA:AUDIO/WAV;BASE64, {BASE64}",
    ],
)
def test_every_way_to_send_bytes(inputs):
    request = parse_payload({"inputs": inputs})
    assert request.audio == AUDIO
    assert type(request.audio) is bytes
    assert request.parameters == InferenceConfig()
    assert request.warnings == ()


LONG = bytes(range(256)) * 40
"""Its base64 has many a `+`."""


@pytest.mark.parametrize("padding", range(3))
@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("head", ["", "data:audio/wav;base64,", "data:audio/wav; base64, "])
def test_a_plus_that_became_a_blank_is_mended(padding, is_padded, head):
    audio = LONG + b"x" * padding
    text = base64.b64encode(audio).decode()
    assert text.count("+") > 50
    lost = (text if is_padded else text.rstrip("=")).replace("+", " ")
    assert parse_payload({"inputs": head + lost}).audio == audio


def test_one_lost_plus_is_mended():
    text = base64.b64encode(bytes(1002) + b"\xfb\x00\x01" + bytes(500)).decode()
    assert text.count("+") == 1
    assert parse_payload({"inputs": text.replace("+", " ")}).audio == base64.b64decode(text)


@pytest.mark.parametrize("separator", [" ", "\n", "\r\n", "\n    ", " \n", "\n\t"], ids=ascii)
@pytest.mark.parametrize("length", [4, 64, 76])
@pytest.mark.parametrize("has_plus", [True, False])
def test_blanks_between_lines_and_groups_are_only_blanks(separator, length, has_plus):
    audio = LONG if has_plus else b"a word " * 150
    text = base64.b64encode(audio).decode()
    assert ("+" in text) == has_plus
    groups = [text[start : start + length] for start in range(0, len(text), length)]
    assert parse_payload({"inputs": separator.join(groups)}).audio == audio


@pytest.mark.parametrize("padding", range(3))
def test_missing_padding_of_every_length(padding):
    audio = AUDIO + b"x" * padding
    text = base64.b64encode(audio).decode().rstrip("=")
    assert parse_payload({"inputs": text}).audio == audio


@pytest.mark.parametrize(
    "inputs",
    [
        "http://example.org/a.wav",
        "https://example.org/a.wav",
        "file:///etc/passwd",
        "/etc/passwd",
        "/etc/hostname",
        "~/recording.wav",
        "C:\\recording.wav",
        "recording",
        "sample.flac",
        "data:audio/wav,hello",
        "data:audio/wav;base64",
        "data:",
        BASE64[:-1] + "!",
        BASE64[:101],
        BASE64 + "A=A",
        BASE64 + "é",
        "\ud800",
        "",
        "  \n",
        "====",
        b"",
        bytearray(),
        None,
        3,
        {"raw": [0.0], "sampling_rate": 16000},
        [0.0, 0.1],
        ["a", "b"],
        True,
    ],
)
def test_what_is_no_audio(inputs):
    with pytest.raises(InvalidAudioError):
        parse_payload({"inputs": inputs})


@pytest.mark.parametrize("text", ["http://example.org/a.wav", "/etc/passwd", "~/a.wav", None, [1]])
def test_the_message_says_how_to_send_audio(text):
    with pytest.raises(InvalidAudioError, match=r"bytes or as a base64 string.*not opened"):
        parse_payload({"inputs": text})


def test_the_message_points_at_the_fault():
    with pytest.raises(InvalidAudioError, match=r"'%' at position 348"):
        parse_payload({"inputs": BASE64[:348] + "%3D"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "null"),
        ([], "of type list"),
        (["inputs"], "of type list"),
        ("inputs", "of type str"),
        ({}, "no 'inputs'"),
        ({"instances": [1]}, "'instances' is not read"),
        ({"parameters": {}}, "no 'inputs'"),
    ],
)
def test_bodies_that_are_no_request(data, message):
    with pytest.raises(InvalidRequestError, match=message):
        parse_payload(data)


@pytest.mark.parametrize("parameters", [None, {}, {"language": None}, {"language": ""}])
def test_parameters_may_be_left_out(parameters):
    request = parse_payload({"inputs": AUDIO, "parameters": parameters})
    assert request.parameters == InferenceConfig()


@pytest.mark.parametrize("parameters", ["", "{}", [], [("task", "translate")], 1, False, b"{}"])
def test_parameters_must_be_an_object(parameters):
    with pytest.raises(InvalidParameterError, match="parameters must be an object"):
        parse_payload({"inputs": AUDIO, "parameters": parameters})


def test_the_callers_objects_are_not_changed():
    data = {"inputs": BASE64, "parameters": {"num_speakers": "2", "typo": 1}, "extra": []}
    before = copy.deepcopy(data)
    parse_payload(data)
    assert data == before


def test_keys_beside_inputs_are_named():
    request = parse_payload({"inputs": AUDIO, "language": "en", "options": {}})
    assert request.warnings == (
        "'language' beside 'inputs' was ignored; put it inside 'parameters'",
        "'options' beside 'inputs' was ignored",
    )


def test_a_request_shows_no_audio():
    assert "\\x" not in repr(parse_payload({"inputs": AUDIO}))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"assisted": "true", "diarize": "false"}, {"assisted": True, "diarize": False}),
        ({"num_speakers": "2", "batch_size": "7"}, {"num_speakers": 2, "batch_size": 7}),
        ({"chunk_length_s": "12.5"}, {"chunk_length_s": 12.5}),
        ({"batch_size": "", "diarize": " ", "task": "", "chunk_length_s": None}, {}),
        ({"min_speakers": 2, "max_speakers": "4"}, {"min_speakers": 2, "max_speakers": 4}),
        ({"sampling_rate": "16000"}, {}),
        ({"language": "auto"}, {}),
        ({"language": " AUTO "}, {}),
        ({"languages": "auto"}, {}),
        ({"languages": ["en", "auto"]}, {}),
        ({"languages": ["en", "es-MX"]}, {"languages": ("en", "es-MX")}),
        ({"keyterms": ["Smith, John", " Ann "]}, {"keyterms": ("Smith, John", "Ann")}),
        ({"keyterms": "Ann,Bo"}, {"keyterms": ("Ann", "Bo")}),
        ({"keyterms": " "}, {}),
        ({"languages": "en, es-MX,"}, {"languages": ("en", "es-MX")}),
        ({"languages": ' ["en", "es-MX"]'}, {"languages": ("en", "es-MX")}),
    ],
)
def test_strings_of_a_query_are_values(raw, expected):
    assert parse_parameters(raw) == (InferenceConfig(**expected), ())


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"batch_size": "many"}, "batch_size must be an integer from 1 to 256, not 'many'"),
        ({"batch_size": 0}, "batch_size must be an integer from 1 to 256, not 0"),
        ({"batch_size": True}, "batch_size must be an integer from 1 to 256, not True"),
        ({"num_speakers": "-1"}, "num_speakers must be an integer from 1 to 50, not '-1'"),
        ({"num_speakers": 2.5}, "num_speakers must be an integer from 1 to 50, not 2.5"),
        ({"chunk_length_s": "0.5"}, "chunk_length_s must be a number from 1 to 30, not '0.5'"),
        ({"task": "sing"}, "task must be 'transcribe' or 'translate', not 'sing'"),
        ({"assisted": "maybe"}, "assisted must be true or false, not 'maybe'"),
        ({"language": 3}, "language must be text of at most 32 characters, not 3"),
        (
            {"languages": '["en"'},
            "languages must be a list of at most 100 texts of 1 to 32 characters, not '[\"en\"'",
        ),
        (
            {"languages": ["en", 3]},
            "languages must be a list of at most 100 texts of 1 to 32 characters, not 3",
        ),
        (
            {"num_speakers": 2, "max_speakers": 3},
            "num_speakers excludes min_speakers and max_speakers; give one or the other",
        ),
        (
            {"min_speakers": 3, "max_speakers": 2},
            "min_speakers (3) must not exceed max_speakers (2)",
        ),
        (
            {"task": 1, "diarize": 3},
            "task must be 'transcribe' or 'translate', not 1; diarize must be true or false, not 3",
        ),
    ],
)
def test_complaints_name_field_value_and_what_is_allowed(raw, message):
    with pytest.raises(InvalidParameterError) as caught:
        parse_parameters(raw)
    assert str(caught.value) == message


def test_fields_of_a_form_are_gathered():
    fields = [("languages", "en"), ("task", "x"), ("task", "y"), ("languages[]", '["es", "de"]')]
    assert gather_fields(fields) == {"task": "y", "languages": ["en", "es", "de"]}


@pytest.mark.parametrize("name", InferenceConfig.model_fields)
@pytest.mark.parametrize(
    "value",
    [object(), ["x"] * 100_000, {"x": {"y": "z"}}, 10**5000],
    ids=["object", "list", "dict", "integer Python refuses to print"],
)
def test_every_field_has_a_short_complaint(name, value):
    with pytest.raises(InvalidParameterError, match=f"^{name} must be .*, not ") as caught:
        parse_parameters({name: value})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("num_speaker", "; did you mean 'num_speakers'?"),
        ("Language", "; did you mean 'language'?"),
        ("max_speaker", "; did you mean 'max_speakers'?"),
        ("chunk_length", "; did you mean 'chunk_length_s'?"),
        ("generate_kwargs", ""),
        ("generation_parameters", ""),
        ("return_timestamps", ""),
    ],
)
def test_unknown_names_are_ignored_and_named(name, hint):
    parameters, warnings = parse_parameters({name: {"num_beams": 5}})
    assert parameters == InferenceConfig()
    assert warnings == (f"unknown parameter '{name}' was ignored{hint}",)


def test_a_flood_of_unknown_names_is_counted(monkeypatch):
    looked_up = []
    monkeypatch.setattr(payloads, "get_close_matches", lambda *_, **__: looked_up.append(1))
    _, warnings = parse_parameters({f"{'z' * 1000}{i}": 1 for i in range(500)})
    assert len(looked_up) == MAX_WARNINGS  # the others cost nothing
    assert len(warnings) == MAX_WARNINGS + 1
    assert warnings[-1] == "480 more names were ignored"
    assert max(map(len, warnings)) < 200


@pytest.mark.parametrize("rate", [8000, "44100"])
def test_another_sampling_rate_is_accepted_and_has_no_effect(rate):
    parameters, warnings = parse_parameters({"sampling_rate": rate})
    assert parameters.sampling_rate == int(rate)
    assert warnings == ("sampling_rate has no effect: the recording itself says its rate",)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(InferenceConfig.model_fields)) | st.text()
ALMOST_BASE64 = st.text(alphabet="AZaz09+/-_= \n:.,;", max_size=200)


@given(
    st.fixed_dictionaries(
        {"inputs": VALUES | ALMOST_BASE64},
        optional={"parameters": VALUES | st.dictionaries(NAMES, VALUES), "instances": VALUES},
    )
    | VALUES
)
def test_nothing_but_a_request_or_an_error_of_ours(data):
    try:
        request = parse_payload(data)
    except InvalidRequestError as error:
        complaint = str(error)
    else:
        complaint = "none"
        assert request.audio
        json.dumps(request.warnings)
    assert 0 < len(complaint) < 5000
    assert parse_payload({"inputs": AUDIO}).audio == AUDIO
