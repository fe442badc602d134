"""What keys do to a transcript, and what they leave alone."""

from __future__ import annotations

from playwright.sync_api import expect

COMPOSED = """(field, key) => field.dispatchEvent(
    new KeyboardEvent("keydown", {key, isComposing: true, bubbles: true}))"""


def test_a_resting_mouse_does_not_take_the_focus_from_the_arrow_keys(page):
    first = page.locator(".conversation .time").first
    first.focus()
    page.locator(".conversation .text").nth(3).hover()
    at = []
    for _ in range(8):
        page.keyboard.press("ArrowDown")
        at.append(page.evaluate("Number(document.activeElement.closest('.row').dataset.id)"))
    assert at == sorted(set(at))
    assert at[:3] == [1, 2, 3]


def test_letters_are_keys_in_the_transcript_alone(page):
    page.locator("#play").focus()
    for key in ("e", "s", "n", "/"):
        page.keyboard.press(key)
        expect(page.locator("#play")).to_be_focused()
    assert page.locator(".conversation textarea").count() == 0
    page.locator(".conversation .row").nth(1).click(position={"x": 3, "y": 3})
    page.keyboard.press("e")
    expect(page.locator(".conversation .row").nth(1).locator("textarea")).to_be_focused()
    page.keyboard.type("Well, ")
    page.keyboard.press("Enter")
    page.keyboard.press("Control+z")
    expect(page.locator("#undo")).to_be_disabled()
    page.keyboard.press("/")
    expect(page.locator("#query")).to_be_focused()


def test_a_choice_of_speaker_is_opened_by_keys_and_moves_a_sentence_once(page):
    page.locator(".conversation .time").first.focus()
    page.keyboard.press("s")
    choice = page.locator(".row-tools select")
    expect(choice).to_be_focused()
    for key in ("ArrowDown", "s"):
        page.keyboard.press(key)
        assert choice.evaluate("choice => choice.matches(':open')")
        assert page.locator("#undo").is_disabled()
        page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".who").first).to_have_text("SPEAKER_01")
    page.click("#undo")
    expect(page.locator("#undo")).to_be_disabled()


def test_keys_of_a_word_that_is_composed_do_nothing_else(page):
    page.locator(".conversation .time").first.focus()
    page.keyboard.press("e")
    field = page.locator(".conversation textarea")
    field.evaluate(COMPOSED, "Enter")
    expect(field).to_be_focused()
    field.press("Escape")
    page.fill("#query", "the")
    page.locator("#query").evaluate(COMPOSED, "Enter")
    expect(page.locator("#hits")).to_contain_text("found")
    name = page.locator("#lanes input").first
    name.fill("An")
    for key in ("Enter", "Escape"):
        name.evaluate(COMPOSED, key)
    expect(name).to_be_focused()
    expect(name).to_have_value("An")
    name.press("Escape")
    expect(name).to_have_value("SPEAKER_00")
