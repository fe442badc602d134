"""What the page says when something goes wrong, and when a recording is sent in other ways."""

from __future__ import annotations

import json
import re
import threading
import time

import httpx
from playwright.sync_api import expect

from asr_diarization.server.events import event
from tests.support.driving import DIALOGUE, KEY, SPOKEN, heights, transcribe

SAID = "going along slushy country roads"


def fails(page, sentence, detail=""):
    """Whether the page says so, and lets one try again."""
    expect(page.locator("#failure")).to_contain_text(sentence)
    expect(page.locator("#failure")).to_contain_text(detail)
    expect(page.locator("#go")).to_be_enabled()
    return True


def send(page, recording):
    page.set_input_files("#file", recording)
    page.click("#go")


def is_idle(url):
    deadline = time.monotonic() + 60
    while httpx.get(f"{url}/ready").json()["running"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return True


def test_cancel_stops_the_server_too(open_page, server):
    url, _, log = server
    page = open_page()
    send(page, DIALOGUE)
    expect(page.locator("#diarize-status")).not_to_be_empty()
    page.click("#cancel")
    expect(page.locator("#go")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("Cancelled")
    assert is_idle(url)
    answered = [line for line in log.read_text().splitlines() if '"path": "/predict"' in line]
    assert "audio_seconds" not in json.loads(answered[-1])


def test_no_audio(open_page, tmp_path):
    page = open_page()
    text = tmp_path / "notes.txt"
    text.write_text('{"this": "is no recording"}')
    send(page, text)
    assert fails(page, "This file is not a recording", "FFmpeg")


def test_a_busy_server_is_asked_again(open_page, server, data_dir):
    url = server[0]
    other = threading.Thread(
        target=httpx.post, args=(f"{url}/predict",),
        kwargs={"content": DIALOGUE.read_bytes(), "timeout": 300},
    )  # fmt: skip
    other.start()
    while not httpx.get(f"{url}/ready").json()["running"]:
        time.sleep(0.01)
    page = open_page()
    send(page, SPOKEN)
    assert fails(page, "The server is busy", "MAX_QUEUE=0")
    expect(page.locator("#failure")).to_contain_text(re.compile(r"Trying again in \d+ s\."))
    other.join()
    expect(page.locator("#tools")).to_be_visible()
    expect(page.locator("#conversation")).to_contain_text(SAID)


def test_a_server_that_is_gone(open_page):
    page = open_page()
    page.context.set_offline(True)
    send(page, SPOKEN)
    assert fails(page, "The server cannot be reached")
    page.context.set_offline(False)
    page.click("#go")
    expect(page.locator("#conversation")).to_contain_text(SAID)


def test_a_key_is_asked_for_and_kept_in_this_tab(open_page, strict_server):
    page = open_page(strict_server[0])
    expect(page.locator("#key")).to_be_visible()
    page.fill("#key", "wrong")
    send(page, SPOKEN)
    assert fails(page, "does not accept this API key")
    expect(page.locator("#key")).to_be_focused()
    page.fill("#key", KEY)
    page.click("#go")
    expect(page.locator("#conversation")).to_contain_text(SAID)
    page.reload()
    expect(page.locator("#key")).to_have_value(KEY)
    assert page.evaluate("localStorage.length") == 0
    assert page.context.cookies() == []


def test_only_what_the_server_has_is_offered(open_page, strict_server):
    page = open_page()
    assert page.locator("#key").is_hidden()
    assert page.locator("#assistant").is_hidden()
    assert page.locator("#speakers").is_visible()
    other = open_page(strict_server[0])
    expect(other.locator("#assistant")).to_be_visible()
    assert other.locator("#speakers").is_hidden()


def test_a_recording_that_is_too_long(open_page, strict_server):
    page = open_page(strict_server[0])
    page.fill("#key", KEY)
    send(page, DIALOGUE)
    assert fails(page, "This recording is too long", "MAX_AUDIO_SECONDS")


def test_choices_are_sent(open_page):
    page = open_page()
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    page.select_option("#language", label="English")
    page.fill("#speakers", "1")
    page.select_option("#channels", "mix")
    transcribe(page, SPOKEN)
    (url,) = [url for url in sent if "/predict" in url]
    assert url.endswith("/predict?language=en&num_speakers=1&channels=mix")
    assert page.locator("#lanes li").count() == 1


def test_a_drop_is_a_choice(open_page):
    page = open_page()
    page.evaluate("""() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["x"], "dropped.wav"));
        for (const name of ["dragenter", "dragover", "drop"]) {
          const options = {dataTransfer, bubbles: true, cancelable: true};
          document.getElementById("drop").dispatchEvent(new DragEvent(name, options));
        }
    }""")
    expect(page.locator("#chosen-name")).to_have_text("dropped.wav")


def test_the_microphone_is_recorded(open_page):
    page = open_page()
    page.click("#record")
    expect(page.locator("#recorded-time")).to_have_text("0:05")
    page.set_input_files("#file", SPOKEN)
    expect(page.locator("#go")).to_be_disabled()
    page.click("#record")
    expect(page.locator("#record")).to_have_text("Record again")
    expect(page.locator("#chosen-name")).to_have_text("recording.webm")
    expect(page.locator("#keep-recording")).to_be_visible()
    page.click("#go")
    expect(page.locator("#conversation .word").first).to_be_visible()
    expect(page.locator("#time")).to_have_text(re.compile("0:00 / 0:0[45]"))
    page.locator(".word").last.click()
    expect(page.locator(".word.now")).to_have_count(1)


def test_what_the_browser_cannot_play_is_read_all_the_same(open_page, data_dir):
    page = open_page()
    transcribe(page, data_dir / "formats" / "sample.amr")
    expect(page.locator("#no-sound")).to_be_visible()
    assert page.locator("#play").is_disabled()
    assert page.locator("#lanes canvas").count() == 2
    assert heights(page) > 10
    expect(page.locator("#time")).to_have_text("0:00 / 0:30")


def test_a_file_dropped_on_a_transcript_does_not_leave_the_page(open_page):
    page = open_page()
    is_kept = page.evaluate("""() => {
        document.getElementById("start").hidden = true;
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(["x"], "dropped.wav"));
        const options = {dataTransfer, bubbles: true, cancelable: true};
        return ["dragover", "drop"].every(
          (name) => !document.body.dispatchEvent(new DragEvent(name, options)));
    }""")
    assert is_kept
    assert page.inner_text("#chosen-name") == ""


def test_a_failure_within_the_stream_names_the_request(open_page):
    page = open_page()
    said = {"error": {"message": "it broke"}, "status": 500}
    stream = {
        "body": event(said, "error"),
        "content_type": "text/event-stream",
        "headers": {"X-Request-ID": "a-request"},
    }
    page.route("**/predict", lambda route: route.fulfill(**stream))
    send(page, SPOKEN)
    assert fails(page, "Its log says why.", "a-request")
