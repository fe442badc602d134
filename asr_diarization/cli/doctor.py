"""`doctor`: its options, and its findings as text or JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any

from asr_diarization.cli.program import EXIT_FAILED, EXIT_OK, program
from asr_diarization.config import ModelSettings, read_settings
from asr_diarization.doctor.findings import Finding, bad, problems
from asr_diarization.errors import ModelLoadError

DESCRIPTION = """Check, before any weight is loaded, what keeps a deployment from starting:
versions that do not work together, FFmpeg, token, gated repositories (also those a diarization
pipeline names), assistant, device, memory, disk, folders. The models are those of the environment:
ASR_MODEL, ASSISTANT_MODEL, DIARIZATION_MODEL, HF_TOKEN, DEVICE."""
EXAMPLES = """examples:
  ASR_MODEL=models/whisper-base {program} doctor --offline
  DIARIZATION_MODEL=pyannote/speaker-diarization-3.1 HF_TOKEN=hf_... \\
    {program} doctor
  {program} doctor --json | jq '.findings[] | select(.is_ok | not)'

exit code: 0 when no problems are found, 1 otherwise
"""


def add_doctor(commands: Any) -> None:
    """Add the sub-command."""
    doctor = commands.add_parser(
        "doctor",
        help="find out why models do not load",
        description=DESCRIPTION,
        epilog=EXAMPLES.format(program=program()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.add_argument(
        "--offline", action="store_true", help="use directories and the cache only, no hub"
    )
    doctor.add_argument(
        "--model-dir",
        default="",
        metavar="DIR",
        help="the deployed repository, as the host passes it to the handler",
    )


def _doctor(options: argparse.Namespace) -> int:
    from asr_diarization.doctor.examine import examine

    try:
        settings = read_settings(ModelSettings)
    except ModelLoadError as error:
        found = [bad("settings", str(error))]
    else:
        with redirect_stdout(sys.stderr):  # some libraries print their failed imports
            found = examine(settings, options.model_dir, _show_step, is_offline=options.offline)
    is_ok = not problems(found)
    if options.json:
        print(json.dumps({"is_ok": is_ok, "findings": [asdict(one) for one in found]}, indent=2))
    else:
        print(as_text(found))
    return EXIT_OK if is_ok else EXIT_FAILED


def as_text(found: Sequence[Finding]) -> str:
    """One line for each finding, then the number of problems."""
    lines = [f"{'ok     ' if one.is_ok else 'PROBLEM'} {one.subject}: {one.text}" for one in found]
    number = len(problems(found))
    total = f"{number or 'no'} problem{'' if number == 1 else 's'} found"
    return "\n".join([*lines, total])


def _show_step(subject: str) -> None:
    print(f"asking the hub about {subject} ...", file=sys.stderr)
