"""The table of formats: for each name its file suffix, its media type and its writer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from asr_diarization.formats.json import to_diarized_json, to_json, to_verbose_json
from asr_diarization.formats.speakers import to_rttm, to_seglst
from asr_diarization.formats.subtitles import to_srt, to_vtt
from asr_diarization.formats.text import to_conversation
from asr_diarization.transcript import Transcript


@dataclass(frozen=True, slots=True)
class Format:
    """How a transcript becomes a file."""

    suffix: str
    media_type: str
    write: Callable[[Transcript, str], str]
    """Takes the transcript and the name of the recording."""


def _json(convert: Callable[[Transcript, str], object]) -> Format:
    def write(transcript: Transcript, name: str) -> str:
        return json.dumps(convert(transcript, name), ensure_ascii=False, indent=2) + "\n"

    return Format("json", "application/json", write)


def _text(suffix: str, media_type: str, write: Callable[[Transcript], str]) -> Format:
    return Format(suffix, media_type, lambda transcript, _: write(transcript))


FORMATS: Mapping[str, Format] = {
    "json": _json(lambda transcript, _: to_json(transcript)),
    "verbose_json": _json(lambda transcript, _: to_verbose_json(transcript)),
    "diarized_json": _json(lambda transcript, _: to_diarized_json(transcript)),
    "text": _text("txt", "text/plain", to_conversation),
    "srt": _text("srt", "application/x-subrip", to_srt),
    "vtt": _text("vtt", "text/vtt", to_vtt),
    "rttm": Format("rttm", "text/plain", to_rttm),
    "seglst": _json(to_seglst),
}
