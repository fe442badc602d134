"""What the tests do with the page again and again."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.support.paths import DATA

DIALOGUE = DATA / "dialogues" / "d1_1min_2spk.flac"
SPOKEN = DATA / "formats" / "sample1.wav"
KEY = "a-key-of-this-test"
BUSY_MILLISECONDS = 180_000
"""What a recording may take on a machine that has other work."""
WIDE, NARROW = {"width": 1600, "height": 900}, {"width": 360, "height": 740}


def transcribe(page, recording=DIALOGUE):
    """Have `recording` worked on, to the end."""
    page.set_input_files("#file", recording)
    page.click("#go")
    expect(page.locator("#tools")).to_be_visible(timeout=BUSY_MILLISECONDS)


def at_time(page):
    """Where the player is, in seconds, to the second."""
    minutes, seconds = page.inner_text("#time").split(" / ")[0].split(":")
    return 60 * int(minutes) + int(seconds)


def expect_time(page, *seconds):
    """The player comes to stand at one of these."""
    clocks = "|".join(f"{second // 60}:{second % 60:02d}" for second in seconds)
    expect(page.locator("#time")).to_have_text(re.compile(f"^({clocks}) / "))


def heights(page):
    """How many heights the bars of the waveform have."""
    return page.locator("#waveform").evaluate("""host => {
        const canvas = host.firstElementChild.shadowRoot.querySelector("canvas");
        if (!canvas) return 0;
        const {width, height} = canvas;
        const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
        const filled = new Set();
        for (let x = 0; x < width; x += 1) {
          let count = 0;
          for (let y = 0; y < height; y += 1) count += data[4 * (y * width + x) + 3] > 0;
          filled.add(count);
        }
        return filled.size;
    }""")


def downloaded(page, form):
    """What a download of this form holds, and what it is called."""
    with page.expect_download() as download:
        page.click(f"[data-format={form}]")
    path = download.value.path()
    return Path(path).read_text(encoding="utf-8"), download.value.suggested_filename
