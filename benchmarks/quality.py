"""Accuracy of words and speakers: WER, cpWER, tcpWER, WDER, DER, invented words.

    python -m benchmarks.quality                                      what `make eval` runs
    python -m benchmarks.quality --data AMI_FOLDER DIALOGUES_FOLDER
    python -m benchmarks.quality --pipeline ours ours:regular ours:no-gaps     merge rules compared
    python -m benchmarks.quality --pipeline ours@padding_seconds=0.1 --half a  windows, on one half
    python -m benchmarks.quality --timeline d2_2min_3spk.flac --no-given       another picture
    python -m benchmarks.quality --out docs/quality.md --picture docs/timeline.png     for the docs

Words and turns are stored in --cache by recording, settings and code; the next run computes only
merges and scores. Definitions of the scores: `benchmarks/scores/scoring.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

# Set before torch is imported: with other programs on the machine, more threads cost more time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tqdm import tqdm

from benchmarks.recordings import PYANNOTE_SAMPLE, Recording, load_recordings
from benchmarks.reports.tables import (
    RATES,
    percent,
    pooled_table,
    recordings_table,
    table,
    words_table,
    write_section,
)
from benchmarks.reports.timeline import draw_timeline
from benchmarks.scores.counts import Score, pool
from benchmarks.scores.reliability import judged_words, reliability_table
from benchmarks.scores.scoring import score
from benchmarks.store import REPOSITORY, Store
from benchmarks.systems.merges import MERGES
from benchmarks.systems.pipelines import Bench
from benchmarks.systems.values import Outcome
from benchmarks.systems.variants import PLAIN, Variant, parse_variant

DEFAULT = ("seed", "whisperx-merge", "faster-whisper-greedy", "faster-whisper", "ours")


@dataclass
class Results:
    """Scores and failures by row, then by recording."""

    scores: dict[str, dict[str, Score]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)

    def add(self, title: str, recording: Recording, outcome: Outcome) -> None:
        """Score the outcome of row `title` on a recording."""
        self.scores.setdefault(title, {})[recording.name] = score(recording, outcome.transcript)
        failures = self.failures.setdefault(title, {})
        if outcome.failure:
            failures[recording.name] = outcome.failure
        self.outcomes[title, recording.name] = outcome

    def part(self, names: Sequence[str]) -> dict[str, dict[str, Score]]:
        """The scores of some recordings."""
        return {title: {n: s[n] for n in names if n in s} for title, s in self.scores.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the report and write it."""
    options = parse_arguments(arguments)
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    recordings = [r for r in load_recordings(options.data) if in_half(r.name, options.half)]
    bench = Bench(options.models, Store(options.cache))
    alone, given = run(bench, options.pipeline, recordings, with_given=options.given)
    report = to_markdown(recordings, alone, given, options.pipeline)
    print(report)
    write_section(options.out, "make eval", report)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(to_json(recordings, alone, given), indent=1) + "\n")
    print(f"\nwritten to {options.out} and {options.json}")
    for recording in (one for one in recordings if one.name == options.timeline):
        rows = {v.title: alone.outcomes[v.title, recording.name] for v in options.pipeline}
        draw_timeline(recording, rows, options.picture)
        print(f"drawn in {options.picture}")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    names = "; ".join(f"{name}: {what}" for name, what in PLAIN.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality",
        description=__doc__,
        epilog=f"pipelines: {names}. merges for ours:NAME: {', '.join(MERGES)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    folders = [str(REPOSITORY / "tests/data"), PYANNOTE_SAMPLE]
    add("--data", nargs="+", default=folders,
        help=f"folders like tests/data, or {PYANNOTE_SAMPLE} (default: both)")  # fmt: skip
    standard = [parse_variant(name) for name in DEFAULT]
    add("--pipeline", nargs="+", type=variant, default=standard,
        metavar="NAME[@SETTING=VALUE,...][:MERGE]",
        help=f"default: {' '.join(DEFAULT)}")  # fmt: skip
    add("--no-given", dest="given", action="store_false",
        help="skip the second run, in which the number of speakers is given")  # fmt: skip
    add("--half", choices=("a", "b"),
        help="only half of the recordings: choose on one, report on the other")  # fmt: skip
    out = REPOSITORY / "out"
    add("--timeline", metavar="RECORDING", default="d1_1min_2spk.flac",
        help="draw who said what in it, and the errors (default: d1_1min_2spk.flac)")  # fmt: skip
    add("--picture", type=Path, default=out / "timeline.png", help="where to draw it")
    add("--out", type=Path, default=out / "quality.md", help="Markdown with a generated section")
    add("--json", type=Path, default=out / "quality.json", help="all counts, for a program")
    add("--models", type=Path, default=REPOSITORY / "models", help="the local models")
    add("--cache", type=Path, default=out / "eval", help="words and turns")
    return parser.parse_args(arguments)


def variant(text: str) -> Variant:
    """`parse_variant`, its message shown."""
    try:
        return parse_variant(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def in_half(name: str, half: str | None) -> bool:
    """Whether a recording is in half `a` or `b`; its name decides, so the halves never change."""
    side = "ab"[hashlib.sha256(name.encode()).digest()[0] % 2]
    return half in (None, side)


def run(
    bench: Bench, variants: Sequence[Variant], recordings: Sequence[Recording], *, with_given: bool
) -> tuple[Results, Results]:
    """All variants on all recordings; conversations also with the number of speakers given."""
    alone, given = Results(), Results()
    talks = [recording for recording in recordings if recording.turns]
    total = len(variants) * (len(recordings) + len(talks) * with_given)
    with tqdm(total=total, unit="recording") as bar:
        for one in variants:
            for recording in recordings:
                bar.set_description(f"{one.label} {recording.name}")
                alone.add(one.title, recording, bench.run(one, recording, None))
                bar.update()
            for recording in talks if with_given else ():
                bar.set_description(f"{one.label} {recording.name}, speakers given")
                outcome = bench.run(one, recording, recording.num_speakers)
                given.add(one.title, recording, outcome)
                bar.update()
    return alone, given


def to_markdown(
    recordings: Sequence[Recording], alone: Results, given: Results, variants: Sequence[Variant]
) -> str:
    """The report: conversations pooled and by folder, other recordings, each recording."""
    talks = [recording for recording in recordings if recording.segments]
    turns_only = [recording for recording in recordings if recording.reference_turns]
    others = [r for r in recordings if not r.segments and not r.reference_turns]
    parts = [_conditions(len(recordings), bool(given.scores))]
    if talks:
        names = [recording.name for recording in talks]
        words = next(iter(alone.part(names).values()))
        count = pool(tuple(words.values())).counts["words"]
        parts += [f"### Conversations: {len(talks)} recordings, {count} words"]
        parts += [pooled_table(alone.part(names), given.part(names))]
        parts += [words_table(alone.part(names), alone.failures)]
        parts += _folders(talks, alone, given)
    if turns_only:
        names = [recording.name for recording in turns_only]
        parts += ["### Turns without words", pooled_table(alone.part(names), given.part(names))]
    if others:
        parts += ["### One voice or none", _others(others, alone)]
    parts += _reliability(talks, alone)
    parts += ["### Every recording: WER / cpWER / tcpWER"]
    short = {v.title: f"`{v.label}`" for v in variants}
    scores = {short[title]: some for title, some in alone.scores.items()}
    failures = {short[title]: some for title, some in alone.failures.items()}
    parts += [recordings_table(scores, failures)]
    return "\n\n".join(parts)


def _conditions(count: int, with_given: bool) -> str:
    second = "; after the slash: number of speakers given" if with_given else ""
    return (
        f"{count} recordings, {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python "
        f"{platform.python_version()}. Percent, pooled counts, [95 % by bootstrap over recordings]"
        f"{second}. tcpWER: collar 5 s. DER 0.25: 0.25 s forgiven on each side of a boundary; "
        "overlap included. Whisper's normaliser. An exception counts as an empty transcript."
    )


def _folders(talks: Sequence[Recording], alone: Results, given: Results) -> list[str]:
    folders = dict.fromkeys(recording.path.parent.name for recording in talks)
    parts = []
    for folder in folders if len(folders) > 1 else ():
        names = [recording.name for recording in talks if recording.path.parent.name == folder]
        parts += [f"#### {folder}", pooled_table(alone.part(names), given.part(names))]
    return parts


def _reliability(talks: Sequence[Recording], alone: Results) -> list[str]:
    """The calibration of the last row's word probabilities, if it has any."""
    title = list(alone.scores)[-1]
    judged = [
        pair
        for recording in talks
        for pair in judged_words(
            recording, alone.outcomes[title, recording.name].transcript.segments
        )
    ]
    return [f"### Word probabilities of {title}", reliability_table(judged)] if judged else []


def _others(others: Sequence[Recording], alone: Results) -> str:
    """WER of recordings with text; number of words found in recordings without speech."""
    spoken = [recording.name for recording in others if recording.text]
    silent = [recording.name for recording in others if not recording.text]
    rows = []
    for title in alone.scores:
        rate = percent(pool(tuple(alone.part(spoken)[title].values())), "WER")
        heard = sum(one.counts["heard"] for one in alone.part(silent)[title].values())
        raised = sum(name in alone.failures[title] for name in (*spoken, *silent))
        rows.append([title, rate, str(heard), str(raised)])
    header = ["pipeline", f"WER, {len(spoken)} with text", f"words in {len(silent)} without speech"]
    return table([*header, "raise"], rows)


def to_json(recordings: Sequence[Recording], alone: Results, given: Results) -> object:
    """Counts by run, row and recording."""

    def counts(score_: Score) -> Mapping[str, object]:
        there = {name: score_.ratios[name] for name in RATES if name in score_.ratios}
        ratios = {name: [ratio.errors, ratio.length] for name, ratio in there.items()}
        return {"ratios": ratios, "counts": dict(score_.counts)}

    names = [recording.name for recording in recordings]
    return {
        label: {
            title: {name: counts(one) for name, one in scores.items()}
            for title, scores in results.part(names).items()
        }
        for label, results in (("not given", alone), ("given", given))
    }


if __name__ == "__main__":
    main()
