"""`deploy`: from a clone to a running endpoint."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asr_diarization.cli.deploy_options import add_options, changed_endpoint, new_endpoint
from asr_diarization.cli.program import EXIT_OK, program
from asr_diarization.deploy import checks, endpoint, files, watch
from asr_diarization.deploy.presets import MEMORY_GB, PRESETS
from asr_diarization.deploy.sample import sample_recording
from asr_diarization.errors import DeployError, one_line

NEW_ENDPOINT = "https://ui.endpoints.huggingface.co/new?repository={}&accelerator=gpu&task=custom"
DESCRIPTION = """Put this repository on Hugging Face Inference Endpoints, and manage its endpoints.
The account is that of HF_TOKEN, or of `hf auth login`; an endpoint costs money while it is
initializing or running, nothing while it is paused or scaled to zero."""
EXAMPLES = """from a clone to a transcript, in five commands (choose a NAME):
  {program} deploy push me/asr-diarization
  {program} deploy create NAME --repository me/asr-diarization --preset balanced
  {program} deploy wait NAME
  {program} deploy test NAME
  {program} deploy pause NAME

checks that cost nothing:
  {program} deploy create NAME --repository me/x --preset large --dry-run
  ASR_MODEL=... DIARIZATION_MODEL=... HF_TOKEN=... {program} doctor

the diarization models are gated: accept the terms of pyannote/speaker-diarization-3.1 and
pyannote/segmentation-3.0 first. The endpoint reads them with the secret HF_TOKEN, which is
ENDPOINT_HF_TOKEN if that is set (make it a read-only one), else the token you deploy with.
"""


def add_deploy(commands: Any) -> None:
    """Add the subcommand and its own subcommands."""
    parser = commands.add_parser(
        "deploy",
        help="make, watch and delete an endpoint on Hugging Face",
        description=DESCRIPTION,
        epilog=EXAMPLES.format(program=program()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    push = _verb(verbs, "push", "upload what an endpoint needs", _push)
    push.add_argument("repository", metavar="OWNER/NAME", help="created if it does not exist")
    push.add_argument("--public", action="store_true", help="make it visible to everybody")
    create = _verb(verbs, "create", "make an endpoint", _create, EPILOG_OF_CREATE)
    _add_name(create)
    create.add_argument("--dry-run", action="store_true", help="print the arguments, send nothing")
    add_options(create, is_new=True)
    update = _verb(verbs, "update", "change an endpoint; other settings stay", _update)
    _add_name(update)
    add_options(update, is_new=False)
    waiting = _verb(verbs, "wait", "wait until it answers, and show its state", _wait)
    _add_name(waiting)
    waiting.add_argument("--timeout", type=float, default=1800, metavar="SECONDS")
    testing = _verb(verbs, "test", "send a recording and print the conversation", _test)
    _add_name(testing)
    testing.add_argument("--audio", type=Path, metavar="FILE", help="default: a phone call")
    testing.add_argument("--no-speakers", action="store_true", help="expect words only")
    for verb, text, run in (
        ("status", "show its state", _status),
        ("pause", "stop it until it is resumed; it costs nothing meanwhile", _pause),
        ("resume", "start it again", _resume),
    ):
        _add_name(_verb(verbs, verb, text, run))
    logs = _verb(verbs, "logs", "print the container's log", _logs)
    _add_name(logs)
    logs.add_argument("--tail", type=_number, default=200, metavar="LINES")
    delete = _verb(verbs, "delete", "delete it for good (the repository stays)", _delete)
    _add_name(delete)
    delete.add_argument("--yes", action="store_true", help="do not ask")


def _number(given: str) -> int:
    """A number of lines: an option's type."""
    if not given.isdecimal():
        raise argparse.ArgumentTypeError(f"{given!r} is no number from 0 on")
    return int(given)


def _presets() -> str:
    lines = []
    for name, preset in PRESETS.items():
        machine, models = preset.instance, preset.models
        memory = MEMORY_GB[machine.type, machine.size]
        lines.append(
            f"  {name:<9} {preset.meaning};\n"
            f"            {machine.vendor} {machine.type} {machine.size}: about "
            f"{models.needed_gb(machine.accelerator):.1f} of {memory} GB (computed)"
        )
    return "presets (every part can be replaced by its own option):\n" + "\n".join(lines)


EPILOG_OF_CREATE = _presets()


def _verb(
    verbs: Any, name: str, text: str, run: Callable[..., int], epilog: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=lambda options: _run(run, options))
    return parser


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the endpoint")
    parser.add_argument("--namespace", metavar="OWNER", help="organisation (default: your account)")


def _run(run: Callable[..., int], options: argparse.Namespace) -> int:
    """Call `run` with a client of the hub; its errors become one sentence."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    try:
        return run(HfApi(), options)
    except DeployError:
        raise
    except HFValidationError as error:
        raise DeployError(f"that is no name of a repository, owner/name: {error}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.filename:  # clients' errors name no file
            raise DeployError(f"{error.filename} cannot be read: {error.strerror}") from error
        response = getattr(error, "response", None)
        if response is None and not type(error).__module__.startswith(("http", "requests", "hugg")):
            raise
        raise DeployError(_sentence(error, getattr(response, "status_code", None))) from error


def _sentence(error: Exception, status: int | None) -> str:
    advice = {
        401: "the token is missing or not valid: set HF_TOKEN, or run hf auth login",
        402: "the account has no means of payment: https://huggingface.co/settings/billing",
        403: "the token may not do this: it needs write access to repositories and endpoints",
        404: "there is no such endpoint or repository in this namespace (see --namespace)",
        409: "there is one of this name already: use deploy update, or another name",
    }
    text = one_line(error)
    if status is None and "oken" not in text:
        return f"Hugging Face cannot be reached: {text}"
    return f"{advice.get(status or 401, f'Hugging Face refused ({status})')} ({text})"


def _push(api: Any, options: argparse.Namespace) -> int:
    names = files.files_of_endpoint()
    print(f"uploading {len(names)} files to {options.repository}", file=sys.stderr)
    print(files.push(api, options.repository, private=not options.public))
    print(f"by hand: {NEW_ENDPOINT.format(options.repository)}", file=sys.stderr)
    return EXIT_OK


def _create(api: Any, options: argparse.Namespace) -> int:
    wanted = new_endpoint(options)
    if options.dry_run:
        try:
            _print_remarks(checks.check_new(None, wanted))  # nothing is sent: no client
        except DeployError as error:
            print(f"warning: {error}", file=sys.stderr)
        print(json.dumps(endpoint.masked_arguments(api, wanted), indent=2))
        return EXIT_OK
    _print_remarks(checks.check_new(api, wanted))
    return _show(endpoint.create(api, wanted))


def _update(api: Any, options: argparse.Namespace) -> int:
    wanted = changed_endpoint(options)
    raw = _endpoint(api, options).raw
    _print_remarks(checks.check_changed(api, wanted, raw))
    return _show(endpoint.update(api, wanted, raw))


def _print_remarks(remarks: list[str]) -> None:
    for remark in remarks:
        print(remark, file=sys.stderr)


def _wait(api: Any, options: argparse.Namespace) -> int:
    deployed = _endpoint(api, options)
    watch.wait(deployed, options.timeout, lambda text: print(text, file=sys.stderr))
    return _show(deployed)


def _test(api: Any, options: argparse.Namespace) -> int:
    audio = options.audio or sample_recording()
    deployed = _endpoint(api, options)
    answer = watch.ask(deployed, audio, api.token, speakers=not options.no_speakers)
    if options.no_speakers:
        print(answer["text"])
    for turn in answer.get("speakers") or ():
        minutes, seconds = divmod(turn["timestamp"][0], 60)
        print(f"[{minutes:02.0f}:{seconds:04.1f} {turn['speaker']}] {turn['text'].strip()}")
    return EXIT_OK


def _status(api: Any, options: argparse.Namespace) -> int:
    return _show(_endpoint(api, options))


def _pause(api: Any, options: argparse.Namespace) -> int:
    return _show(_endpoint(api, options).pause())


def _resume(api: Any, options: argparse.Namespace) -> int:
    return _show(_endpoint(api, options).resume())


def _logs(api: Any, options: argparse.Namespace) -> int:
    lines = watch.read_logs(_endpoint(api, options), api.token).splitlines()
    for line in lines[max(0, len(lines) - options.tail) :]:
        print(line)
    return EXIT_OK


def _delete(api: Any, options: argparse.Namespace) -> int:
    deployed = _endpoint(api, options)
    if not options.yes:
        try:
            typed = input(f"delete the endpoint {deployed.name} for good? Type its name: ")
        except EOFError as error:
            raise DeployError(
                "nothing was deleted: there is no terminal to ask; use --yes"
            ) from error
        if typed != deployed.name:
            raise DeployError("nothing was deleted")
    deployed.delete()
    print(f"{deployed.name}: deleted")
    return EXIT_OK


def _endpoint(api: Any, options: argparse.Namespace) -> Any:
    return api.get_inference_endpoint(options.name, namespace=options.namespace)


def _show(deployed: Any) -> int:
    address = deployed.url or "no address yet"
    print(f"{deployed.name}: {watch.described(deployed)}, {address}")
    return EXIT_OK
