"""What speakers look like, to everybody."""

from __future__ import annotations

import numpy as np
import pytest

SEEN_WITHOUT = {
    "nothing": np.eye(3),
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
              [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
             [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
"""Linear RGB as those see it who lack a kind of cone (Machado, Oliveira and Fernandes 2009)."""
TO_CONES = [[0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
TO_OKLAB = [[0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip


def linear(colour):
    """Linear RGB of #rrggbb."""
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_voices_stand_out_and_are_told_apart_by_everybody(open_page, scheme):
    page = open_page(color_scheme=scheme)
    names = ["--track", *(f"--voice-{i}" for i in range(8))]
    colours = page.evaluate(
        "names => names.map(n => getComputedStyle(document.body).getPropertyValue(n))", names
    )
    rgb = np.array([linear(colour) for colour in colours])
    track, *voices = rgb @ [0.2126, 0.7152, 0.0722] + 0.05
    assert min(max(voice / track, track / voice) for voice in voices) >= 3
    for lacking, seen in SEEN_WITHOUT.items():
        cones = np.clip(rgb[1:] @ np.transpose(seen), 0, 1) @ np.transpose(TO_CONES)
        lab = np.cbrt(cones) @ np.transpose(TO_OKLAB)
        apart = np.linalg.norm(lab[:, None] - lab, axis=-1)[np.triu_indices(8, 1)]
        assert apart.min() > 0.08, lacking


def test_sixteen_speakers_look_different(open_page):
    page = open_page()
    looks = page.evaluate("""async () => {
        const {paint} = await import("./js/speakers.js");
        const known = Array.from({length: 16}, (_, i) => `SPEAKER_${i}`);
        return known.map((speaker) => {
          const element = document.createElement("div");
          paint(element, {known}, speaker);
          return element.style.cssText + element.className;
        });
    }""")
    assert len(set(looks)) == 16
