"""OpenAI's form fields of a transcription: their values, checked, and the answer they ask for."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import FormData

from asr_diarization.config import InferenceConfig
from asr_diarization.errors import InvalidParameterError
from asr_diarization.formats.json import to_diarized_json, to_text_json, to_verbose_json
from asr_diarization.formats.openai_response import DiarizedJson, TextJson, VerboseJson
from asr_diarization.formats.registry import FORMATS
from asr_diarization.formats.text import to_text
from asr_diarization.payloads import gather_fields
from asr_diarization.server.error_responses import dumped
from asr_diarization.server.settings import ServerSettings
from asr_diarization.transcript import Transcript

RESPONSE_FORMATS = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
GRANULARITIES = ("word", "segment")

_SUBTITLES = ("srt", "vtt")


class TranscriptionForm:
    """The form fields that are OpenAI's and not those of `InferenceConfig`."""

    def __init__(self, form: FormData, task: str) -> None:
        self._task, self._form = task, form
        self.format = _text(form, "response_format") or RESPONSE_FORMATS[0]
        self.stream = _text(form, "stream").lower() in ("true", "1")
        self._granularities = {
            str(value)
            for name in ("timestamp_granularities[]", "timestamp_granularities")
            for value in form.getlist(name)
        } or {"segment"}

    @property
    def media_type(self) -> str:
        """The media type of the answer."""
        return FORMATS[self.format].media_type

    def parameters(self, settings: ServerSettings) -> Mapping[str, object]:
        """The parameters of the request, by the names of `InferenceConfig`.

        Raises:
            InvalidParameterError: a field has a value that OpenAI does not know either.
        """
        self._check(settings)
        fields = InferenceConfig.model_fields
        given = gather_fields(self._form.multi_items())
        ours = {name: value for name, value in given.items() if name in fields}
        theirs = {
            "diarize": self.format == "diarized_json",
            "initial_prompt": _text(self._form, "prompt"),
            "keyterms": self._keywords(),
            "known_speakers": self._known_speakers(),
        }
        return {**theirs, **ours, "task": self._task}

    def _check(self, settings: ServerSettings) -> None:
        _check_choice("response_format", self.format, RESPONSE_FORMATS)
        _check_choice(
            "stream", _text(self._form, "stream").lower(), ("true", "false", "1", "0", "")
        )
        for granularity in self._granularities:
            _check_choice("timestamp_granularities", granularity, GRANULARITIES)
        _check_temperature(_text(self._form, "temperature"))
        if self.format == "diarized_json" and settings.diarization_model is None:
            raise InvalidParameterError(
                "response_format='diarized_json' needs a diarization model, and this deployment "
                "has none: set DIARIZATION_MODEL"
            )

    def _keywords(self) -> object:
        """OpenAI's name of the key terms."""
        names = ("keywords", "keywords[]")
        fields = [("keyterms", v) for n, v in self._form.multi_items() if n in names]
        return gather_fields(fields).get("keyterms")

    def _known_speakers(self) -> list[dict[str, object]]:
        """OpenAI's two lists as one."""
        names, references = (
            self._form.getlist(f"known_speaker_{field}[]")
            + self._form.getlist(f"known_speaker_{field}")
            for field in ("names", "references")
        )
        if len(names) != len(references):
            raise InvalidParameterError(
                f"known_speaker_names has {len(names)} entries and known_speaker_references "
                f"{len(references)}: each name needs the recording of its voice"
            )
        return [{"name": n, "audio": a} for n, a in zip(names, references, strict=True)]

    def render(self, transcript: Transcript, warnings: tuple[str, ...]) -> bytes:
        """The answer in the format that was asked for."""
        if self.format == "text":
            return (to_text(transcript) + "\n").encode()
        if self.format in _SUBTITLES:
            return FORMATS[self.format].write(transcript, "recording").encode()
        content = self._json(transcript)
        if warnings := (*warnings, *transcript.warnings):
            content["warnings"] = list(warnings)
        return dumped(content)

    def _json(self, transcript: Transcript) -> TextJson | VerboseJson | DiarizedJson:
        if self.format == "json":
            return to_text_json(transcript)
        if self.format == "diarized_json":
            return {**to_diarized_json(transcript), "task": self._task}
        verbose: VerboseJson = {**to_verbose_json(transcript), "task": self._task}
        if "word" not in self._granularities:
            del verbose["words"]
        if "segment" not in self._granularities:
            del verbose["segments"]
        return verbose


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        names = " or ".join(repr(choice) for choice in allowed if choice)
        raise InvalidParameterError(f"{name} must be {names}, not {value[:60]!r}")


def _check_temperature(value: str) -> None:
    try:
        allowed = not value or 0 <= float(value) <= 1
    except ValueError:
        allowed = False
    if not allowed:
        raise InvalidParameterError(f"temperature must be from 0 to 1, not {value[:60]!r}")
