"""What the page writes is what the command line writes, to the letter."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from asr_diarization import assembly
from asr_diarization.cli.main import main
from asr_diarization.formats.json import from_json, to_json
from asr_diarization.formats.registry import FORMATS
from asr_diarization.formats.response import TranscriptJson
from asr_diarization.formats.validation import validated
from asr_diarization.server.error_responses import dumped
from tests.support import invented
from tests.support.driving import DIALOGUE, KEY, SPOKEN, downloaded, transcribe

FORMS = ("text", "srt", "vtt", "json", "rttm")
SEND_BACK = """async (answer) => {
    const {fromAnswer, toAnswer} = await import("./js/answer.js");
    return JSON.stringify(toAnswer(fromAnswer(JSON.parse(answer))));
}"""


@pytest.fixture(scope="module")
def written(models_dir, tmp_path_factory):
    """What the command line writes about the dialogue, by format; the models work once."""
    from asr_diarization.config import ModelSettings

    local = ModelSettings(
        asr_model=str(models_dir / "whisper-base"),
        diarization_model=str(models_dir / "diarization"),
        device="cpu",
    )
    pipeline, kept = assembly.load_pipeline(local), []

    def once(*request):
        kept[:] = kept or [pipeline(*request)]
        return kept[0]

    directory = tmp_path_factory.mktemp("written")
    texts = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(assembly, "load_pipeline", lambda _: once)
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


@settings(suppress_health_check=list(HealthCheck), max_examples=150)
@given(transcript=invented.transcripts(LETTERS))
def test_the_page_sends_back_the_transcript_it_was_given(dialogue, transcript):
    sent = json.loads(dialogue.evaluate(SEND_BACK, dumped(to_json(transcript)).decode()))
    again = from_json(validated(TranscriptJson, sent))
    for name, format_ in FORMATS.items():
        assert format_.write(again, "a call") == format_.write(transcript, "a call"), name


@pytest.mark.parametrize(
    ("status", "error", "sentence"),
    [
        (422, "words[2].start is missing", "The server cannot write this transcript."),
        (413, "the body is larger than 9 bytes", "This transcript is too large for this server."),
        (500, "internal error", "The server failed (status 500)."),
    ],
)
def test_a_download_that_fails_says_why_and_saves_nothing(page, status, error, sentence):
    page.fill("#lanes li:nth-child(1) input", "Ann Lee")
    page.keyboard.press("Enter")
    body = json.dumps({"error": error, "type": "AnError"})
    page.route("**/render", lambda route: route.fulfill(status=status, body=body))
    page.click("[data-format=srt]")
    expect(page.locator("#download-failure")).to_contain_text(sentence)
    expect(page.locator("#unsaved")).to_be_visible()
    page.unroute("**/render")
    text, _ = downloaded(page, "srt")
    assert "Ann Lee: " in text
    expect(page.locator("#download-failure")).to_be_hidden()
    expect(page.locator("#unsaved")).to_be_hidden()


def test_a_key_is_sent_with_a_download(open_page, strict_server):
    page = open_page(strict_server[0])
    page.fill("#key", KEY)
    transcribe(page, SPOKEN)
    text, name = downloaded(page, "text")
    assert name == "sample1.txt"
    assert "slushy country roads" in text


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
