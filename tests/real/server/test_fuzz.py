"""Anything at all as a request: it is answered, or refused with an error of ours."""

from __future__ import annotations

import base64
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidRequestError
from tests.support.paths import DATA

# Small enough that damaged files which still decode hold next to no sound.
HEADS = [path.read_bytes()[:3000] for path in sorted((DATA / "formats").glob("sample1.*"))]
SILENCE = (DATA / "nonspeech" / "silence_5s.flac").read_bytes()

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars | st.binary(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@st.composite
def damaged(draw):
    """A real file's beginning, cut and with bytes changed."""
    data = bytearray(draw(st.sampled_from([*HEADS, SILENCE])))
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


audio = st.binary(max_size=200) | damaged()
texts = (
    audio.map(lambda data: base64.b64encode(data).decode())
    | audio.map(lambda data: f"data:audio/wav;base64,{base64.b64encode(data).decode()}")
    | st.text(max_size=60)
    | st.sampled_from(["/etc/passwd", "https://example.org/a.wav", "data:audio/wav;base64,"])
)
parameters = (
    st.none()
    | anything
    | st.dictionaries(
        st.sampled_from([*InferenceConfig.model_fields, "num_speaker", "return_timestamps"]),
        scalars | st.sampled_from(["2", "true", "en", "translate", 1, 2, 8]),
        max_size=4,
    )
)
requests = anything | st.fixed_dictionaries(
    {"inputs": audio | texts | anything}, optional={"parameters": parameters, "extra": anything}
)


@settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(request_=requests)
def test_any_request_is_answered_or_refused(endpoint, request_):
    try:
        answer = endpoint(request_)
    except InvalidRequestError as error:
        message = str(error)
    else:
        message = "answered"
        assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert 0 < len(message) < 3000


def test_and_the_next_request_works(endpoint):
    assert endpoint({"inputs": SILENCE})["text"] == ""
