"""`transcribe`: transcribes recordings on disk and writes their transcripts."""

from __future__ import annotations

import argparse
import sys
import types
import typing
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.fields import FieldInfo

from asr_diarization.cli.bars import bars
from asr_diarization.cli.program import EXIT_FAILED, EXIT_OK
from asr_diarization.config import InferenceConfig, ModelSettings, read_settings
from asr_diarization.errors import AsrDiarizationError, InvalidParameterError, one_line
from asr_diarization.formats.registry import FORMATS
from asr_diarization.payloads import LIST_PARAMETERS, parse_parameters, split_list
from asr_diarization.transcript import Transcript

if TYPE_CHECKING:  # heavy, and perhaps broken: the doctor must start without it
    from asr_diarization.pipeline import Pipeline
    from asr_diarization.protocols import Progress

BAR = "{desc}: {percentage:3.0f} %|{bar}| {elapsed}"


def add_transcribe(commands: typing.Any) -> None:
    """Add the subcommand, with an option for every parameter of a request."""
    transcribe = commands.add_parser(
        "transcribe",
        help="transcribe recordings",
        description="Transcribe recordings in any format FFmpeg knows; a bad file stops no other.",
    )
    transcribe.set_defaults(run=_transcribe)
    transcribe.add_argument("files", nargs="+", type=Path, metavar="FILE")
    transcribe.add_argument(
        "--format", choices=FORMATS, default="text", help="what to write (default: text)"
    )
    transcribe.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write one file per recording here, not to stdout",
    )
    transcribe.add_argument(
        "--json", type=Path, metavar="FILE", help="write the full JSON here as well (one recording)"
    )
    _add_parameters(transcribe.add_argument_group("parameters of the request"))


def _add_parameters(group: argparse._ArgumentGroup) -> None:
    """One option for every field of `InferenceConfig`, of the same name."""
    for name, field in InferenceConfig.model_fields.items():
        option = f"--{name.replace('_', '-')}"
        text = " ".join((field.description or "").replace("`", "").replace("%", "%%").split())
        if name == "known_speakers":
            text = "people to recognise, each by a recording of 1 to 30 s of their voice"
            group.add_argument(
                option,
                nargs="+",
                action="extend",
                type=_known_speaker,
                help=text,
                metavar="NAME=FILE",
            )
        elif name in LIST_PARAMETERS:
            group.add_argument(
                option, action="extend", type=_listed, help=text, metavar="TEXT,TEXT,..."
            )
        elif field.annotation is bool:
            group.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(option, help=text, metavar=_metavar(field))


def _listed(given: str) -> list[object]:
    items = split_list(given)
    if not isinstance(items, list):
        raise argparse.ArgumentTypeError(f"{given!r} is not a list: write one,two or JSON")
    return items


def _known_speaker(given: str) -> dict[str, object]:
    name, sign, path = given.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(
            f"{given!r} is not NAME=FILE (recordings to transcribe go before this option)"
        )
    try:
        return {"name": name, "audio": Path(path).read_bytes()}
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{given!r}: {error.strerror}") from error


def _metavar(field: FieldInfo) -> str:
    choices = typing.get_args(field.annotation)
    if typing.get_origin(field.annotation) is typing.Literal:
        return "|".join(map(str, choices))
    kind: typing.Any = next(
        (kind for kind in choices if kind is not types.NoneType), field.annotation
    )
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return {int: "N", float: "SECONDS"}.get(kind, "TEXT")


def _transcribe(options: argparse.Namespace) -> int:
    from asr_diarization.assembly import load_pipeline

    given = {name: getattr(options, name) for name in InferenceConfig.model_fields}
    parameters, warnings = parse_parameters({k: v for k, v in given.items() if v is not None})
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    _check_targets(options)
    pipeline = load_pipeline(read_settings(ModelSettings))
    failed = 0
    for path in options.files:
        try:
            _write(_transcribe_file(pipeline, path, parameters), path, options)
        except (AsrDiarizationError, OSError) as error:
            print(f"{path}: {_complaint(error, path)}", file=sys.stderr)
            failed += 1
    return EXIT_FAILED if failed else EXIT_OK


def _check_targets(options: argparse.Namespace) -> None:
    """Refuse targets that would lose transcripts, before any work is done.

    Raises:
        InvalidParameterError: transcripts would overwrite each other, or cannot be written.
    """
    several, suffix = len(options.files) > 1, FORMATS[options.format].suffix
    if several and options.json is not None:
        raise InvalidParameterError("--json takes one recording; use --format json --output DIR")
    if options.output is None:
        if several and suffix == "json":
            raise InvalidParameterError(
                "several JSON documents in a row are no JSON; write them with --output DIR"
            )
        return
    stems = Counter(path.stem for path in options.files)
    if clash := next((stem for stem, times in stems.items() if times > 1), None):
        raise InvalidParameterError(
            f"several recordings would be written to {options.output / clash}.{suffix}; "
            "transcribe them one by one, or rename one"
        )
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidParameterError(f"--output {options.output}: {error.strerror}") from error


def _transcribe_file(pipeline: Pipeline, path: Path, parameters: InferenceConfig) -> Transcript:
    with bars(bar_format=BAR, leave=False) as show, path.open("rb") as audio:

        def report(progress: Progress) -> None:
            if progress.done:
                show(f"{path.name}: {progress.stage}", 100 * progress.done / progress.total, 100)

        transcript = pipeline(audio, parameters, report)
    for warning in transcript.warnings:
        print(f"{path}: warning: {warning}", file=sys.stderr)
    return transcript


def _write(transcript: Transcript, path: Path, options: argparse.Namespace) -> None:
    form = FORMATS[options.format]
    text = form.write(transcript, path.stem)
    if options.json is not None:
        options.json.write_text(FORMATS["json"].write(transcript, path.stem), encoding="utf-8")
    if options.output is None:
        sys.stdout.write(text)
    else:
        (options.output / f"{path.stem}.{form.suffix}").write_text(text, encoding="utf-8")


def _complaint(error: Exception, path: Path) -> str:
    """The error as one sentence, without the file's name where that stands before it."""
    if isinstance(error, OSError):
        other = f"{error.filename}: " if error.filename not in (None, str(path), path) else ""
        return f"{other}{error.strerror or error}"
    return one_line(error)
