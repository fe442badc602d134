"""What the page writes is what the command line writes, to the letter."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_diarization.cli import transcribe
from asr_diarization.cli.main import main
from asr_diarization.formats.json import to_json
from asr_diarization.formats.registry import FORMATS
from asr_diarization.server.error_responses import dumped
from asr_diarization.transcript import Segment, Transcript, Turn, Word
from tests.support.driving import DIALOGUE, downloaded

FORMS = ("text", "srt", "vtt", "json", "rttm")
WRITE = """async (answer) => {
    const {parse} = await import("./js/json.js");
    const {fromAnswer} = await import("./js/transcript.js");
    const {FORMATS} = await import("./js/formats.js");
    const transcript = fromAnswer(parse(answer));
    return Object.fromEntries(
      Object.entries(FORMATS).map(([name, {write}]) => [name, write(transcript, "a call")]));
}"""


@pytest.fixture(scope="module")
def written(models_dir, tmp_path_factory):
    """What the command line writes about the dialogue, by format; the models work once."""
    from asr_diarization.assembly import load_pipeline
    from asr_diarization.config import ModelSettings

    local = ModelSettings(
        asr_model=str(models_dir / "whisper-base"),
        diarization_model=str(models_dir / "diarization"),
        device="cpu",
    )
    pipeline, kept = load_pipeline(local), []

    def once(*request):
        kept[:] = kept or [pipeline(*request)]
        return kept[0]

    directory = tmp_path_factory.mktemp("written")
    texts = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(transcribe, "load_pipeline", lambda _: once)
        for form in FORMS:
            call = ["transcribe", str(DIALOGUE), "--format", form, "--output", str(directory)]
            assert main(call) == 0
            (path,) = directory.iterdir()
            texts[form] = path.name, path.read_text(encoding="utf-8")
            path.unlink()
    return texts


def without_seconds(text):
    """How long the work took is another matter each time."""
    return re.sub(r'(?s)"seconds": \{.*?\}', "", text)


@pytest.mark.parametrize("form", FORMS)
def test_an_unedited_download_is_what_the_command_line_writes(page, written, form):
    text, name = downloaded(page, form)
    assert (name, without_seconds(text)) == (written[form][0], without_seconds(written[form][1]))


LETTERS = st.sampled_from("aB<>&\"'\\é漢🙂.,?")
SHORT, LONG = st.text(LETTERS, min_size=1, max_size=5), st.text(LETTERS, min_size=20, max_size=30)
QUICK, SLOW = st.integers(0, 4000), st.integers(0, 16 * 8000)


@st.composite
def transcripts(draw):
    """As models give them: times between samples' milliseconds, words with and without spaces."""
    space = draw(st.sampled_from([" ", ""]))
    has_words = draw(st.booleans())
    people = draw(st.sampled_from([["SPEAKER_00", "SPEAKER_01", None], ["Ann <A> & Co", None]]))
    now, segments, turns = draw(st.integers(0, 16000 * 4000)), [], []
    for _ in range(draw(st.integers(0, 6))):
        words = []
        speaker = draw(st.sampled_from(people))
        # Cues are cut by their letters when people talk fast, by their seconds when they do not.
        texts, samples = draw(st.sampled_from([(SHORT, SLOW), (LONG, QUICK), (SHORT, QUICK)]))
        for _ in range(draw(st.integers(1, 20))):
            start = now + draw(samples)
            now = start + draw(samples)
            probability = draw(st.none() | st.floats(0, 1))
            text = space + draw(texts)
            words.append(Word(text, start / 16000, now / 16000, probability, speaker))
        text = "".join(word.text for word in words).strip()
        span = words[0].start, words[-1].end
        sure = draw(st.none() | st.floats(0, 1))
        segments.append(
            Segment(*span, text, tuple(words) if has_words else (), speaker, "en",
                    draw(st.booleans()), sure)
        )  # fmt: skip
        if speaker:
            turns.append(Turn(*span, speaker))
    stats = {"windows": 3, "speech_seconds": 2.0, "seconds": {"decode": 1e-05, "all": 12.5}}
    similarities = {turn.speaker: 0.7 for turn in turns}
    return Transcript("en", now / 16000, tuple(segments), tuple(turns), ("careful",), stats,
                      similarities)  # fmt: skip


@settings(suppress_health_check=list(HealthCheck), max_examples=150)
@given(transcript=transcripts())
def test_every_form_of_any_transcript_equals_the_servers(dialogue, transcript):
    answer = dumped(to_json(transcript)).decode()
    on_the_page = dialogue.evaluate(WRITE, answer)
    assert on_the_page == {form: FORMATS[form][1](transcript, "a call") for form in FORMS}


def test_edits_are_in_every_form(page):
    page.fill("#lanes li:nth-child(1) input", "Ann Lee")
    page.keyboard.press("Enter")
    first = page.locator(".conversation .row").first
    first.locator(".text").dblclick(position={"x": 5, "y": 5})
    page.fill("textarea", "Cheese & <wine>, then.")
    page.keyboard.press("Enter")
    texts = {form: downloaded(page, form)[0] for form in FORMS}
    assert texts["text"].startswith("[00:01.0 Ann Lee] Cheese & <wine>, then.\n")
    assert "Ann Lee: Cheese & <wine>, then." in texts["srt"]
    assert "<v Ann Lee>Cheese &amp; &lt;wine&gt;, then.</v>" in texts["vtt"]
    assert " <NA> <NA> Ann_Lee <NA> <NA>\n" in texts["rttm"]
    answer = json.loads(texts["json"])
    assert answer["text"].startswith("Cheese & <wine>, then. ")
    assert answer["words"][0]["speaker"] == answer["speakers"][0]["speaker"] == "Ann Lee"
    assert not any("SPEAKER_00" in text for text in texts.values())
