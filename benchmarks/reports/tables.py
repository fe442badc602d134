"""Scores as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.scores.counts import Score, interval, pool

RATES = ("WER", "cpWER", "tcpWER", "WDER", "DER 0", "DER 0.25")
DASH = "–"

Scores = Mapping[str, Score]
"""Scores by the recording's name."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is aligned as text, the others as numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def pooled_table(results: Mapping[str, Scores], given: Mapping[str, Scores]) -> str:
    """A row per pipeline: rates with their intervals, without / with the number of speakers given.

    Args:
        results: scores by pipeline, without the number of speakers.
        given: scores by pipeline with the number of speakers; empty if that was not run.
    """
    header = ["pipeline", *RATES, "cpWER − WER", "speakers found"]
    rows = []
    for title, scores in results.items():
        known = given.get(title, {})
        cells = [_rate_cell(scores, known, name) for name in RATES]
        rows.append([title, *cells, _both(scores, known, _speaker_errors), _speakers(scores)])
    return table(header, rows)


def _rate_cell(scores: Scores, known: Scores, name: str) -> str:
    alone = tuple(scores.values())
    cell = percent(pool(alone), name)
    if bounds := interval(alone, name):
        cell += f" [{bounds[0]:.1f}, {bounds[1]:.1f}]"
    # The words do not depend on the number of speakers.
    if known and name != "WER":
        cell += f" / {percent(pool(tuple(known.values())), name)}"
    return cell


def _both(scores: Scores, known: Scores, cell: Callable[[Score], str]) -> str:
    return " / ".join(cell(pool(tuple(some.values()))) for some in (scores, known) if some)


def _speaker_errors(score: Score) -> str:
    with_speakers, words_only = (score.ratios.get(name) for name in ("cpWER", "WER"))
    if not with_speakers or with_speakers.percent is None:
        return DASH
    if not words_only or words_only.percent is None:
        return DASH
    return f"{with_speakers.percent - words_only.percent:.1f}"


def _speakers(scores: Scores) -> str:
    counts = pool(tuple(scores.values())).counts
    return f"{counts['speakers']} of {counts['true_speakers']}"


def percent(score: Score, name: str) -> str:
    """A rate with one decimal."""
    ratio = score.ratios.get(name)
    return DASH if ratio is None or ratio.percent is None else f"{ratio.percent:.1f}"


def words_table(results: Mapping[str, Scores], failures: Mapping[str, Mapping[str, str]]) -> str:
    """A row per pipeline: kinds of word errors, errors of word times, failed recordings."""
    header = ["pipeline", "words", "substituted", "missed", "inserted", "invented in non-speech"]
    header += ["start error, median / 90 % (ms)", "end error", "recordings that raise"]
    rows = []
    for title, scores in results.items():
        total = pool(tuple(scores.values()))
        counts = [total.counts[n] for n in ("words", "substituted", "missed", "inserted")]
        times = [_quantiles(errors) for errors in (total.start_errors, total.end_errors)]
        raised = str(len(failures.get(title, {})))
        rows.append([title, *map(str, [*counts, total.counts["invented"]]), *times, raised])
    return table(header, rows)


def _quantiles(seconds: Sequence[float]) -> str:
    if not seconds:
        return DASH
    median, ninetieth = np.percentile(seconds, [50, 90]) * 1000
    return f"{median:.0f} / {ninetieth:.0f}"


def recordings_table(
    results: Mapping[str, Scores], failures: Mapping[str, Mapping[str, str]]
) -> str:
    """A row per recording: WER / cpWER / tcpWER of every pipeline; if nobody speaks, its words."""
    names = list(dict.fromkeys(name for scores in results.values() for name in scores))
    rows = []
    for name in names:
        cells = [
            _recording_cell(scores[name], failures[t].get(name)) for t, scores in results.items()
        ]
        reference = next(iter(results.values()))[name].counts["words"]
        rows.append([name, str(reference), *cells])
    return table(["recording", "words", *results], rows)


def _recording_cell(score: Score, failure: str | None) -> str:
    if failure:
        return f"raises {failure.split(':')[0]}"
    if not score.counts["words"]:
        return f"{score.counts['heard']} words"
    names = ("WER", "cpWER", "tcpWER") if "cpWER" in score.ratios else ("WER",)
    return " / ".join(percent(score, name) for name in names)


def write_section(path: Path, name: str, content: str) -> None:
    """Write `content` between the markers of `name` in a Markdown file, which may be new."""
    begin, end = f"<!-- {name}: generated, do not edit -->", f"<!-- end of {name} -->"
    section = f"{begin}\n\n{content.strip()}\n\n{end}"
    text = path.read_text(encoding="utf-8") if path.exists() else f"{begin}\n{end}\n"
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"
    before, rest = text.split(begin, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(before + section + rest.split(end, 1)[1], encoding="utf-8")
