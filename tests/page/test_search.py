"""Looking for words in a transcript."""

from __future__ import annotations

import re

from playwright.sync_api import expect


def test_search_counts_and_walks(page):
    page.fill("#query", "THE")
    text = " ".join(page.locator("p.text").all_inner_texts())
    count = text.lower().count("the")
    expect(page.locator("#hits")).to_have_text(f"{count} found")
    page.press("#query", "Enter")
    page.press("#query", "Enter")
    expect(page.locator("#hits")).to_have_text(f"2 of {count}")
    marked = page.evaluate("[...CSS.highlights.get('found')].map(range => range.toString())")
    assert len(marked) == count
    assert {text.lower() for text in marked} == {"the"}


def test_a_hit_may_reach_over_two_sentences_and_is_edited_where_it_begins(page):
    block = page.locator(".conversation .rows", has=page.locator(".row >> nth=1")).first
    texts = block.locator("p.text").all_inner_texts()
    both = f"{texts[0].split()[-1]} {texts[1].split()[0]}"
    page.fill("#query", both)
    page.press("#query", "Enter")
    expect(page.locator("#hits")).to_have_text(re.compile("^1 of "))
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    field = page.locator(".conversation textarea")
    expect(field).to_have_value(texts[0])
    field.press("Escape")


def test_a_search_takes_letters_as_they_are_and_marks_what_it_found(open_page):
    """Small letters may be more than the capital one, and points are no pattern."""
    page = open_page()
    text = "\u0130\u0130\u0130 said (no). No, not so"
    marked = page.evaluate(
        """async (text) => {
        const {Conversation} = await import("./js/conversation.js");
        const {Search} = await import("./js/search.js");
        const {fromAnswer} = await import("./js/answer.js");
        const segments = [{text, start: 0, end: 1, speaker: "A", language: "tr",
          speaker_confidence: null, overlap: false}];
        const transcript = fromAnswer({
          segments, words: [], turns: [], language: "tr", duration: 1, warnings: [], stats: {}
        });
        const container = document.getElementById("conversation");
        const conversation = new Conversation(container);
        await conversation.show(transcript);
        const search = new Search(conversation, {onHit() {}, onLeave() {}});
        return ["no", "(no).", "."].map((wanted) => {
          document.getElementById("query").value = wanted;
          search.show(transcript);
          return [...CSS.highlights.get("found")].map((range) => range.toString());
        });
    }""",
        text,
    )
    assert marked == [["no", "No", "no"], ["(no)."], ["."]]
