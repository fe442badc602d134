"""A real browser in front of a real server with the local models."""

from __future__ import annotations

import os
import shutil

import pytest
import pytest_socket
from playwright.sync_api import expect, sync_playwright

from tests.support.driving import KEY, SPOKEN, WIDE, transcribe
from tests.support.serving import serving

expect.set_options(timeout=30_000)


@pytest.fixture(autouse=True)
def _loopback(_alone):
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium; what its microphone hears is a recording."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert path, "no chromium found: apt-get install chromium, or set CHROMIUM=path"
    arguments = [
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={SPOKEN}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def server(models_dir, tmp_path_factory):
    """Takes one recording at a time and lets none wait: address, process, log."""
    with serving(models_dir, tmp_path_factory.mktemp("server"), MAX_QUEUE="0") as started:
        yield started


@pytest.fixture(scope="session")
def strict_server(models_dir, tmp_path_factory):
    """Asks for a key, takes 20 s at most, has an assistant and finds no speakers."""
    tiny = str(models_dir / "whisper-tiny.en")
    variables = {"ASR_MODEL": tiny, "ASSISTANT_MODEL": tiny, "DIARIZATION_MODEL": ""}
    limits = {"API_KEYS": KEY, "MAX_AUDIO_SECONDS": "20"}
    with serving(models_dir, tmp_path_factory.mktemp("strict"), **variables, **limits) as started:
        yield started


@pytest.fixture
def open_page(browser, server):
    """A function that opens the page in a window of its own; what the page complains of fails."""
    contexts, complaints = [], []

    def open_(address=server[0], **options):
        context = browser.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: _complain(complaints, said))
        page.goto(f"{address}/ui/")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not complaints


def _complain(complaints, said):
    """An answer that is no success is logged by the browser itself, and looked for by the tests."""
    if said.type == "error" and "Failed to load resource" not in said.text:
        complaints.append(said.text)


@pytest.fixture(scope="session")
def dialogue(browser, server):
    """The page with the dialogue, transcribed once; tests undo what they do."""
    context = browser.new_context(viewport=WIDE, accept_downloads=True)
    page = context.new_page()
    page.goto(f"{server[0]}/ui/")
    transcribe(page)
    yield page
    context.close()


@pytest.fixture
def page(dialogue):
    """`dialogue` as the server gave it."""
    yield dialogue
    dialogue.locator("#play.playing").is_visible() and dialogue.click("#play")
    dialogue.fill("#query", "")
    while dialogue.locator("#undo").is_enabled():
        dialogue.click("#undo")
