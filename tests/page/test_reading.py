"""Hearing, reading and correcting a transcript on the page."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from tests.support.driving import (
    BUSY_MILLISECONDS,
    DIALOGUE,
    WIDE,
    at_time,
    downloaded,
    expect_time,
    heights,
    transcribe,
)

SENTENCE = "Why, it might have been in the workhouse."


def row(page, text):
    return page.locator(".conversation .row", has_text=text)


def test_progress_is_seen_and_heard_before_the_transcript(open_page):
    page = open_page()
    page.set_input_files("#file", DIALOGUE)
    page.evaluate("""() => {
        window.seen = {values: new Set(), told: new Set()};
        const look = () => {
          for (const id of ["diarize", "transcribe"]) {
            window.seen.values.add(`${id} ${document.getElementById(id).value}`);
          }
          window.seen.told.add(document.getElementById("announcer").textContent);
        };
        new MutationObserver(look).observe(document.body, {
          subtree: true, childList: true, characterData: true, attributes: true
        });
    }""")
    page.click("#go")
    expect(page.locator("#cancel")).to_be_focused()
    expect(page.locator("#tools")).to_be_visible(timeout=BUSY_MILLISECONDS)
    values = page.evaluate("[...window.seen.values]")
    told = page.evaluate("[...window.seen.told]")
    assert any(0 < float(v.split()[1]) < 1 for v in values if v.startswith("diarize"))
    assert "transcribe 1" in values
    assert {"Upload: 100 %", "Speakers: 100 %", "Words: 50 %", "Words: 100 %"} <= set(told)
    assert any(text.startswith("Done: ") for text in told)


def test_a_lane_and_a_colour_for_each_speaker(page):
    lanes = page.locator("#lanes li")
    assert lanes.count() == 2
    colours = lanes.evaluate_all("all => all.map(e => e.style.getPropertyValue('--speaker'))")
    assert len(set(colours)) == 2
    painted = page.locator("#lanes canvas").evaluate_all("""all => all.map(canvas => {
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, 1);
        const filled = [];
        for (let x = 0; x < canvas.width; x += 1) filled.push(data[4 * x + 3] > 0);
        return filled;
    })""")
    first, second = painted
    both = sum(a and b for a, b in zip(first, second, strict=True))
    assert sum(first) > 5 * both
    assert sum(second) > 5 * both


def test_lanes_stripe_the_time_in_which_two_talk(open_page):
    page = open_page()
    found = page.evaluate("""async () => {
        const {overlaps} = await import("./js/speakers.js");
        const turn = (speaker, start, end) => ({speaker, start, end});
        return overlaps([turn("a", 0, 5), turn("b", 4, 6), turn("c", 4.5, 7), turn("a", 7, 8)]);
    }""")
    assert found == [{"start": 4, "end": 6}]


def test_a_click_on_a_word_plays_from_it_and_words_light_up(page):
    page.locator(".word", has_text="workhouse.").click()
    expect(page.locator("#play")).to_have_attribute("aria-label", "Pause")
    assert at_time(page) >= 14
    # On a busy machine the word itself may be over before it can be looked at.
    expect(page.locator(".word.now")).to_have_text(re.compile("workhouse.|I|really"))
    expect(page.locator(".word.now")).not_to_have_text("workhouse.")
    page.click("#play")
    expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
    words = json.loads(downloaded(page, "json")[0])["words"]
    marked = page.locator(".word").evaluate_all("all => all.findIndex(w => w.matches('.now'))")
    heard = words[marked]
    assert heard["start"] - 1 <= at_time(page) <= heard["end"] + 1
    assert heard["start"] > 15.5


def test_a_click_on_a_lane_goes_there(page):
    box = page.locator(".lane").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 3)
    expect_time(page, 29, 30)


def test_a_name_is_changed_everywhere(page):
    before = page.locator(".who", has_text="SPEAKER_00").count()
    page.locator(".who", has_text="SPEAKER_00").first.click()
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    assert page.locator(".who", has_text="Ann").count() == before > 1
    assert page.locator(".who", has_text="SPEAKER_00").count() == 0
    assert page.locator(".row-tools option", has_text="SPEAKER_00").count() == 0
    text, _ = downloaded(page, "text")
    assert " Ann] " in text
    assert "SPEAKER_00" not in text + downloaded(page, "json")[0] + downloaded(page, "rttm")[0]


def test_two_of_one_name_become_one(page):
    page.fill("#lanes li:nth-child(1) input", "SPEAKER_01")
    page.keyboard.press("Enter")
    expect(page.locator("#lanes li")).to_have_count(1)
    assert len(json.loads(downloaded(page, "json")[0])["speakers"]) == 1
    page.click("#undo")
    expect(page.locator("#lanes li")).to_have_count(2)


def test_a_sentence_is_given_to_another_speaker(page):
    before = json.loads(downloaded(page, "json")[0])
    sentence = next(s for s in before["segments"] if s["text"] == SENTENCE)
    other = "SPEAKER_00" if sentence["speaker"] == "SPEAKER_01" else "SPEAKER_01"
    row(page, SENTENCE).locator(".time").focus()
    page.locator(".row-tools select").select_option(other)
    after = json.loads(downloaded(page, "json")[0])
    moved = next(s for s in after["segments"] if s["text"] == SENTENCE)
    assert (moved["speaker"], moved["speaker_confidence"]) == (other, None)
    inside = [w for w in after["words"] if sentence["start"] <= w["start"] < sentence["end"]]
    assert {word["speaker"] for word in inside} == {other}
    middle = (sentence["start"] + sentence["end"]) / 2
    assert other in {t["speaker"] for t in after["turns"] if t["start"] <= middle < t["end"]}
    assert seconds(after["turns"]) == seconds(before["turns"])


def seconds(turns):
    """How much is talked, whoever it is; turns that overlap counted once."""
    covered, last = 0, 0
    for turn in turns:
        covered += max(0, turn["end"] - max(last, turn["start"]))
        last = max(last, turn["end"])
    return round(covered, 3)


def test_somebody_new_is_named_at_once(page):
    row(page, SENTENCE).locator(".time").focus()
    page.locator(".row-tools select").select_option("Somebody new")
    expect(page.locator("#lanes li")).to_have_count(3)
    page.keyboard.type("Bea")
    page.keyboard.press("Enter")
    expect(page.locator(".block", has_text=SENTENCE).locator(".who")).to_have_text("Bea")


def test_a_text_is_corrected_and_other_words_keep_their_times(page):
    before = json.loads(downloaded(page, "json")[0])["words"]
    row(page, SENTENCE).locator(".text").dblclick(position={"x": 5, "y": 5})
    page.fill("textarea", "Why, it might have been at the poor house.")
    page.keyboard.press("Enter")
    expect(row(page, "at the poor house.")).to_be_visible()
    expect(page.locator("#unsaved")).to_be_visible()
    after = json.loads(downloaded(page, "json")[0])
    expect(page.locator("#unsaved")).to_be_hidden()
    assert "at the poor house." in after["text"]
    old = {word["word"]: word for word in before if 13 < word["start"] < 15.5}
    new = [word for word in after["words"] if 13 < word["start"] < 15.6]
    kept = ["Why,", "it", "might", "have", "been", "the"]
    assert [w["word"] for w in new] == [*kept[:5], "at", "the", "poor", "house."]
    assert [word for word in new if word["word"] in old] == [old[word] for word in kept]
    assert [w["word"] for w in new if w["probability"] is None] == ["at", "poor", "house."]
    starts = [word["start"] for word in new]
    assert starts == sorted(starts)
    assert SENTENCE not in downloaded(page, "srt")[0]


def test_escape_leaves_a_text_as_it_was(page):
    row(page, SENTENCE).locator(".text").dblclick(position={"x": 5, "y": 5})
    page.fill("textarea", "Nothing of it.")
    page.keyboard.press("Escape")
    expect(row(page, SENTENCE)).to_be_visible()
    assert page.locator("#undo").is_disabled()


def test_unsure_words_are_marked_and_found(page):
    words = json.loads(downloaded(page, "json")[0])["words"]
    unsure = [word for word in words if word["probability"] < 0.5]
    assert page.locator(".word.unsure").all_inner_texts() == [word["word"] for word in unsure]
    page.locator(".word").first.click()
    page.click("#play")
    page.click("#next-unsure")
    expect(page.locator(".word.now")).to_have_text(unsure[0]["word"])


def test_unsure_speakers_and_overlaps_are_marked(open_page):
    page = open_page()
    marks = page.evaluate("""async () => {
        const {Conversation} = await import("./js/conversation.js");
        const {fromAnswer} = await import("./js/answer.js");
        const segment = (text, start, speaker_confidence, overlap) => ({
          text, start, end: start + 1, speaker: "A", language: "en", speaker_confidence, overlap
        });
        const segments = [segment("Yes.", 0, 0.4, false), segment("No.", 2, 0.9, true)];
        const container = document.createElement("div");
        await new Conversation(container).show(fromAnswer({
          segments, words: [], turns: [], language: "en", duration: 4, warnings: [], stats: {}
        }));
        return [...container.querySelectorAll(".row")].map((row) =>
          [...row.querySelectorAll(".mark")].map((mark) => mark.textContent));
    }""")
    assert marks == [["speaker unsure"], ["overlap"]]


def test_leaving_with_unsaved_edits_warns(open_page):
    page = open_page()
    transcribe(page)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.fill("#lanes li:nth-child(1) input", "Ann")
    page.keyboard.press("Enter")
    page.click("#again")
    assert asked == ["confirm"]
    expect(page.locator("#tools")).to_be_visible()
    page.close(run_before_unload=True)
    page.wait_for_timeout(300)
    assert asked == ["confirm", "beforeunload"]
    downloaded(page, "vtt")
    page.click("#again")
    expect(page.locator("#start")).to_be_visible()
    assert len(asked) == 2


def test_the_waveform_is_what_the_server_has_told(page):
    assert heights(page) > 10


def test_tools_of_a_sentence_hide_no_word(page):
    for number in range(3):
        page.locator(".conversation .time").nth(number).focus()
        hidden = page.evaluate("""() => [...document.activeElement.closest(".row")
            .querySelectorAll(".word, .mark")].filter(word => {
              const {x, y, width, height} = word.getClientRects()[0];
              const top = document.elementFromPoint(x + width / 2, y + height / 2);
              return top && top !== word;
            }).length""")
        assert hidden == 0


def test_clocks_are_not_read_aloud(page):
    for name in ("time", "recorded-time"):
        assert page.locator(f"#{name}").evaluate("e => e.localName") == "span"


def test_what_is_typed_but_not_taken_over_is_worth_a_warning(open_page):
    page = open_page()
    transcribe(page)
    page.locator(".conversation .time").first.focus()
    page.keyboard.press("e")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.keyboard.type(" and more")
    page.evaluate("() => {}")
    page.reload()
    assert asked == ["beforeunload"]


def test_silence_is_said(open_page):
    page = open_page()
    transcribe(page, DIALOGUE.parents[1] / "nonspeech" / "silence_5s.flac")
    expect(page.locator("#conversation")).to_have_text("Nobody says anything.")


def test_a_double_click_edits_what_it_is_on_and_nothing_moves(page):
    page.set_viewport_size({"width": 1000, "height": 900})
    page.locator(".conversation .time").first.focus()
    field = page.locator(".conversation textarea")
    text = page.locator("p.text").nth(1)
    said = text.inner_text()
    text.dblclick(position={"x": 5, "y": 5})
    expect(field).to_have_value(said)
    field.press("Escape")
    page.set_viewport_size(WIDE)


def test_a_name_that_stays_is_no_edit(page):
    name = page.locator("#lanes input").first
    name.focus()
    page.keyboard.press("End")
    page.keyboard.type(" ")
    page.keyboard.press("Enter")
    assert page.locator("#undo").is_disabled()
    assert name.input_value() == "SPEAKER_00"


def test_texts_run_in_their_own_direction(page):
    for texts in (".conversation .text", "#lanes input", ".who"):
        directions = page.locator(texts).evaluate_all("all => all.map(e => e.dir)")
        assert set(directions) == {"auto"}
    page.locator(".conversation .time").first.focus()
    page.keyboard.press("e")
    field = page.locator(".conversation textarea")
    assert field.get_attribute("dir") == "auto"
    field.press("Escape")
