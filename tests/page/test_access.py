"""The page for everybody: with keys alone, read aloud, small, dark, and two hours long."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from playwright.sync_api import expect

from asr_diarization.server.events import event
from tests.support.driving import DIALOGUE, NARROW, WIDE, at_time, expect_time, heights, transcribe

STREAM = "text/event-stream"
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"


def findings(page):
    """What axe-core calls serious or critical."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 10
    return [
        (finding["id"], [node["html"] for node in finding["nodes"]])
        for finding in found["violations"]
        if finding["impact"] in ("serious", "critical")
    ]


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing_and_nothing_sticks_out(dialogue_answer, open_page, viewport, scheme):
    page = open_page(viewport=viewport, color_scheme=scheme)
    assert findings(page) == []
    assert fits(page)
    page.set_input_files("#file", {"name": "x" * 80, "mimeType": "audio/wav", "buffer": b"no"})
    page.click("#go")
    expect(page.locator("#failure")).to_be_visible()
    assert findings(page) == []
    assert fits(page)
    page.route("**/predict", lambda route: route.fulfill(**dialogue_answer))
    transcribe(page)
    page.locator(".time").nth(2).click()
    page.click("#play")
    page.locator(".time").nth(2).focus()
    page.keyboard.press("e")
    expect(page.locator("textarea")).to_be_visible()
    assert findings(page) == []
    assert fits(page)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(paper.split("(")[1].split(",")[0]) < 100) is (scheme == "dark")


@pytest.fixture(scope="module")
def dialogue_answer(server):
    """What the server says to the dialogue, to be said again without the work."""
    import httpx

    answer = httpx.post(
        f"{server[0]}/predict",
        content=DIALOGUE.read_bytes(),
        headers={"Accept": "text/event-stream"},
        timeout=300,
    )
    return {"body": answer.content, "content_type": STREAM}


def test_everything_by_keys(open_page, dialogue_answer):
    page = open_page()
    page.route("**/predict", lambda route: route.fulfill(**dialogue_answer))
    press = page.keyboard.press
    press("Tab")
    expect(page.locator("#file")).to_be_focused()
    page.set_input_files("#file", DIALOGUE)
    for name in ("record", "language", "speakers", "channels", "go"):
        press("Tab")
        expect(page.locator(f"#{name}")).to_be_focused()
    press("Enter")
    expect(page.locator("#play")).to_be_focused()
    press("Space")
    expect(page.locator("#play.playing")).to_be_visible()
    press("Space")
    expect(page.locator("#play:not(.playing)")).to_be_visible()
    before = at_time(page)
    press("ArrowRight")
    press("ArrowRight")
    expect_time(page, before + 10, before + 11)
    press("ArrowLeft")
    expect_time(page, before + 5, before + 6)
    press("ArrowDown")
    press("ArrowDown")
    press("ArrowUp")
    expect(page.locator(".row[data-id='1'] .time")).to_be_focused()
    press("Enter")
    expect(page.locator(".row[data-id='1'] .word.now")).to_be_visible()
    press("Space")
    press("e")
    expect(page.locator("textarea")).to_be_focused()
    page.keyboard.type(" Indeed.")
    press("Enter")
    expect(page.locator(".row[data-id='1'] .text")).to_contain_text("Houston. Indeed.")
    expect(page.locator(".row[data-id='1'] .time")).to_be_focused()
    press("s")
    expect(page.locator(".row-tools select")).to_be_focused()
    press("Shift+Tab")
    press("Control+z")
    expect(page.locator(".row[data-id='1'] .text")).not_to_contain_text("Indeed.")
    press("/")
    expect(page.locator("#query")).to_be_focused()


def test_with_the_focus_in_a_field_keys_type(page):
    page.fill("#query", "")
    page.locator("#query").focus()
    page.keyboard.type("e s n/")
    assert page.input_value("#query") == "e s n/"
    assert page.locator("textarea").count() == 0
    assert page.locator("#play.playing").count() == 0


def two_hours():
    """20 000 words of three people, as the server would say them."""
    draw = random.Random(0)
    words, segments, turns, now = [], [], [], 0.0
    while len(words) < 20_000:
        speaker = f"SPEAKER_{draw.randrange(3):02d}"
        begin, said = now, []
        for _ in range(draw.randint(4, 16)):
            start, now = now, round(now + 0.34, 3)
            word = "".join(draw.choices("abcdefghij", k=draw.randint(2, 9)))
            said.append({"word": word, "start": start, "end": now,
                         "probability": round(draw.random(), 3), "speaker": speaker})  # fmt: skip
        text = " ".join(word["word"] for word in said)
        who = {"speaker": speaker, "language": "en", "speaker_confidence": 0.9, "overlap": False}
        segments.append({"start": begin, "end": now, "text": text, **who})
        turns.append({"speaker": speaker, "start": begin, "end": now})
        words += said
        now = round(now + 0.2, 3)
    lists = {"words": words, "segments": segments, "turns": turns, "warnings": []}
    return {"text": "", "language": "en", "duration": 7200.0, "stats": {}, **lists}


def test_two_hours_are_read_without_a_long_stop(open_page, record_property):
    answer = two_hours()
    page = open_page()
    page.evaluate("""() => {
        window.long = [];
        new PerformanceObserver((list) => {
          for (const {duration} of list.getEntries()) window.long.push(duration);
        }).observe({type: "longtask"});
    }""")
    picture = {"duration": 7200.0, "peaks": [[i % 50 / 50 for i in range(4000)]]}
    body = event(picture, "waveform") + event(answer, "transcript")
    page.route("**/predict", lambda route: route.fulfill(body=body, content_type=STREAM))
    transcribe(page)
    expect(page.locator(".word")).to_have_count(len(answer["words"]))
    assert heights(page) > 10
    opened = page.evaluate("window.long.splice(0)")
    page.mouse.move(1100, 500)
    for _ in range(40):
        page.mouse.wheel(0, 3000)
        page.wait_for_timeout(16)
    assert page.evaluate("scrollY") > 20_000
    scrolled = page.evaluate("window.long.splice(0)")
    page.fill("#lanes li:first-child input", "Ann")
    page.keyboard.press("Enter")
    expect(page.locator(".who", has_text="Ann").first).to_have_text("Ann")
    edited = page.evaluate("window.long.splice(0)")
    for name, tasks in (("open", opened), ("scroll", scrolled), ("rename", edited)):
        record_property(name, tasks)
        print(name, "long tasks, ms:", [round(task) for task in tasks])
    last = page.locator(".word").last
    last.scroll_into_view_if_needed()
    expect(last).to_have_text(answer["words"][-1]["word"])
    skipped, most, blocks = page.evaluate("""() => {
        const blocks = [...document.querySelectorAll(".block")];
        const isSeen = (row) => row.checkVisibility({contentVisibilityAuto: true});
        const skipped = blocks.filter((block) => !isSeen(block.querySelector(".row")));
        const rows = blocks.map((block) => block.querySelectorAll(".row").length);
        return [skipped.length, Math.max(...rows), blocks.length];
    }""")
    assert skipped > 0.9 * blocks
    assert most <= 20
    assert fits(page)


def test_without_a_picture_all_else_works(open_page):
    """A server that sends none, and nothing is made out of the recording here."""
    page = open_page()
    page.add_init_script("AudioContext.prototype.decodeAudioData = () => console.error('decoded')")
    page.reload()
    body = event(two_hours(), "transcript")
    page.route("**/predict", lambda route: route.fulfill(body=body, content_type=STREAM))
    transcribe(page)
    assert heights(page) < 3
    page.locator(".word").nth(2).click()
    expect(page.locator("#play.playing")).to_be_visible()


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_shows_controls_whole_and_in_their_order(open_page, width):
    page = open_page(viewport={"width": width, "height": 740})
    body = event(two_hours(), "transcript")
    page.route("**/predict", lambda route: route.fulfill(body=body, content_type=STREAM))
    transcribe(page)
    page.evaluate("document.getElementById('time').textContent = '1:02:03 / 2:00:00'")
    assert fits(page)
    play, zoom, lanes, files, talk = (
        page.locator(name).bounding_box()
        for name in ("#play", "#zoom-in", "#lanes", "#downloads", "#tools")
    )
    assert play["width"] == play["height"]
    assert zoom["x"] + zoom["width"] <= width - 12
    assert lanes["y"] < files["y"] < talk["y"]
    page.locator(".word").nth(30).click()
    page.keyboard.press("s")
    expect(page.locator(".row-tools select")).to_be_focused()
    expect(page.locator(".row-tools select")).to_be_in_viewport()
