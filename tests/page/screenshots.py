"""The pictures of the page in docs/images (`make screenshots`)."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.driving import NARROW, transcribe
from tests.support.paths import REPO

IMAGES = REPO / "docs" / "images"


@pytest.mark.parametrize(
    ("name", "viewport", "scheme"),
    [
        ("light", {"width": 1440, "height": 810}, "light"),
        ("dark", {"width": 1440, "height": 810}, "dark"),
        ("narrow", NARROW, "light"),
    ],
)
def test_take(open_page, name, viewport, scheme):
    page = open_page(viewport=viewport, color_scheme=scheme)
    transcribe(page)
    for i, person in enumerate(("Ann", "Bob"), start=1):
        page.fill(f"#lanes li:nth-child({i}) input", person)
        page.keyboard.press("Enter")
    page.locator(".word", has_text="account").click()
    expect(page.locator(".word.now")).to_have_text("account")
    page.click("#play")
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(0, 0)
    IMAGES.mkdir(exist_ok=True)
    page.screenshot(path=IMAGES / f"page-{name}.png")
