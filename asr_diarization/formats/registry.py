"""Every format by its name, with the suffix of its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from asr_diarization.formats.json import to_diarized_json, to_json, to_verbose_json
from asr_diarization.formats.speakers import to_rttm, to_seglst
from asr_diarization.formats.subtitles import to_srt, to_vtt
from asr_diarization.formats.text import to_conversation
from asr_diarization.transcript import Transcript


def _dumped(form: Callable[[Transcript], object]) -> Callable[[Transcript, str], str]:
    return lambda transcript, _: json.dumps(form(transcript), ensure_ascii=False, indent=2) + "\n"


FORMATS: Mapping[str, tuple[str, Callable[[Transcript, str], str]]] = {
    "json": ("json", _dumped(to_json)),
    "verbose_json": ("json", _dumped(to_verbose_json)),
    "diarized_json": ("json", _dumped(to_diarized_json)),
    "text": ("txt", lambda transcript, _: to_conversation(transcript)),
    "srt": ("srt", lambda transcript, _: to_srt(transcript)),
    "vtt": ("vtt", lambda transcript, _: to_vtt(transcript)),
    "rttm": ("rttm", to_rttm),
    "seglst": (
        "json",
        lambda transcript, name: (
            json.dumps(to_seglst(transcript, name), ensure_ascii=False, indent=2) + "\n"
        ),
    ),
}
"""Name of a format -> (file suffix, what writes a transcript of the recording called so)."""
