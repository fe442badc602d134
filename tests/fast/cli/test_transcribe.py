"""Door 3 with a scripted pipeline: options, files, formats, exit codes."""

from __future__ import annotations

import json
import sys
from typing import ClassVar

import pytest

from asr_diarization import assembly
from asr_diarization.cli.main import main, make_parser
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import ModelLoadError, OutOfMemoryError
from asr_diarization.formats.registry import FORMATS
from asr_diarization.transcript import Turn
from tests.support.fakes import ScriptedDiarizer, ScriptedTranscriber, pipeline, say, wav

TURNS = (Turn(0, 2, "SPEAKER_00"), Turn(2, 4, "SPEAKER_01"))
SAID = (say("How are you?", 0, 2), say("Quite well.", 2, 4))


@pytest.fixture
def transcriber(monkeypatch):
    """The transcriber of the pipeline that the command line will load."""
    fake = ScriptedTranscriber(SAID)
    ready = pipeline(fake, ScriptedDiarizer(TURNS))
    monkeypatch.setattr(assembly, "load_pipeline", lambda settings: ready)
    return fake


@pytest.fixture
def call(tmp_path):
    path = tmp_path / "call.wav"
    path.write_bytes(wav(4.0))
    return path


def test_prints_a_conversation(transcriber, call, capsys):
    assert main(["transcribe", str(call)]) == 0
    assert capsys.readouterr().out == (
        "[00:00.0 SPEAKER_00] How are you?\n[00:02.0 SPEAKER_01] Quite well.\n"
    )


@pytest.mark.parametrize("name", FORMATS)
def test_writes_every_format_into_a_directory(transcriber, call, tmp_path, capsys, name):
    out = tmp_path / "new" / "out"
    assert main(["transcribe", str(call), "--format", name, "--output", str(out)]) == 0
    (written,) = out.iterdir()
    assert written.name == f"call.{FORMATS[name].suffix}"
    assert written.read_text(encoding="utf-8")
    assert capsys.readouterr().out == ""


def test_writes_the_whole_answer_beside(transcriber, call, tmp_path):
    target = tmp_path / "call.json"
    assert main(["transcribe", str(call), "--json", str(target)]) == 0
    answer = json.loads(target.read_text(encoding="utf-8"))
    assert answer["text"] == "How are you? Quite well."
    assert len(answer["words"]) == 5


def test_a_bad_file_is_reported_and_stops_no_other(transcriber, call, tmp_path, capsys):
    broken, missing = tmp_path / "broken.wav", tmp_path / "missing.wav"
    broken.write_bytes(b"RIFF, but not really")
    files = [str(path) for path in (broken, missing, tmp_path, call)]
    assert main(["transcribe", *files]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("How are you?") == 1
    complaints = [line for line in shown.err.splitlines() if line.startswith(str(tmp_path))]
    assert [line.split(": ")[0] for line in complaints] == files[:3]


def test_one_that_does_not_fit_into_memory_stops_no_other(monkeypatch, transcriber, call, capsys):
    ready = assembly.load_pipeline(None)

    def too_small(audio, *rest):
        if audio.name.endswith("large.wav"):
            raise OutOfMemoryError("not enough memory")
        return ready(audio, *rest)

    monkeypatch.setattr(assembly, "load_pipeline", lambda _: too_small)
    large = call.with_name("large.wav")
    large.write_bytes(call.read_bytes())
    assert main(["transcribe", str(large), str(call)]) == 1
    shown = capsys.readouterr()
    assert f"{large}: not enough memory\n" in shown.err
    assert "How are you?" in shown.out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--output", "{out}"], "several recordings would be written to {out}/call.txt"),
        (["--format", "json"], "several JSON documents"),
        (["--json", "{out}"], "--json takes one recording"),
        (["--output", "{call}/below"], "--output {call}/below: Not a directory"),
    ],
)
def test_what_would_be_lost_is_refused_before_the_work(
    transcriber, call, tmp_path, capsys, options, complaint
):
    twin = tmp_path / "elsewhere" / "call.flac"
    files = [call] if "{call}" in complaint else [call, twin]
    names = {"out": tmp_path / "out", "call": call}
    given = [option.format(**names) for option in options]
    assert main(["transcribe", *map(str, files), *given]) == 2
    assert complaint.format(**names) in capsys.readouterr().err
    assert transcriber.calls == []


def test_a_transcript_that_cannot_be_written_is_reported(transcriber, call, tmp_path, capsys):
    target = tmp_path / "missing" / "call.json"
    assert main(["transcribe", str(call), "--json", str(target)]) == 1
    said = capsys.readouterr().err
    assert said.endswith(f"{call}: {target}: No such file or directory\n")


def test_known_speakers_may_be_given_one_by_one(call):
    options = make_parser().parse_args(
        [
            "transcribe",
            str(call),
            "--known-speakers",
            f"Ann={call}",
            "--known-speakers",
            f"Bo={call}",
        ]
    )
    assert [known["name"] for known in options.known_speakers] == ["Ann", "Bo"]


def test_lists_may_be_split_or_given_one_by_one(transcriber, call):
    given = ["--languages", "en, es-MX", "--languages", '["de"]']
    assert main(["transcribe", *given, str(call)]) == 0
    assert transcriber.calls[0][1] == InferenceConfig(languages=("en", "es-MX", "de"))


def test_half_a_list_is_refused(call, capsys):
    with pytest.raises(SystemExit):
        main(["transcribe", "--languages", '["de"', str(call)])
    assert """'["de"' is not a list""" in capsys.readouterr().err


def test_a_recording_behind_known_speakers_is_told_where_to_stand(call, capsys):
    with pytest.raises(SystemExit):
        main(["transcribe", "--known-speakers", f"Ann={call}", str(call)])
    assert "recordings to transcribe go before this option" in capsys.readouterr().err


def test_options_are_the_fields_of_inference_config():
    options = make_parser()._subparsers._group_actions[0].choices["transcribe"]._actions
    names = {action.dest for action in options} - {"help", "files", "format", "output", "json"}
    assert names == set(InferenceConfig.model_fields)


def test_help_shows_what_kind_of_value_an_option_takes(capsys):
    with pytest.raises(SystemExit):
        main(["transcribe", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for option in ("--num-speakers N", "--batch-size N", "--chunk-length-s SECONDS"):
        assert option in shown
    assert "Excludes the two bounds below." in shown


def test_options_reach_the_pipeline(transcriber, call):
    options = "--task translate --language fr --batch-size 3 --chunk-length-s 20.5 --no-diarize"
    options += " --initial-prompt Names"
    assert main(["transcribe", str(call), *options.split()]) == 0
    assert transcriber.calls[0][1] == InferenceConfig(
        task="translate",
        language="fr",
        batch_size=3,
        chunk_length_s=20.5,
        diarize=False,
        initial_prompt="Names",
    )


@pytest.mark.parametrize(
    "options", [["--batch-size", "many"], ["--num-speakers", "2", "--max-speakers", "3"]]
)
def test_a_bad_parameter_is_one_sentence_and_no_start(transcriber, call, capsys, options):
    assert main(["transcribe", str(call), *options]) == 2
    complaint = capsys.readouterr().err.splitlines()
    assert len(complaint) == 1
    assert options[0][2:].replace("-", "_") in complaint[0]
    assert transcriber.calls == []


def test_a_model_that_does_not_load_is_one_sentence_and_no_start(monkeypatch, call, capsys):
    def refuse(settings):
        raise ModelLoadError("cannot load x:\nit is not there")

    monkeypatch.setattr(assembly, "load_pipeline", refuse)
    assert main(["transcribe", str(call)]) == 2
    assert capsys.readouterr().err == "error: cannot load x: it is not there\n"


def test_a_bad_setting_names_its_variable(monkeypatch, call, capsys):
    monkeypatch.setenv("MAX_AUDIO_SECONDS", "none")
    assert main(["transcribe", str(call)]) == 2
    assert capsys.readouterr().err == (
        "error: MAX_AUDIO_SECONDS must be a valid number, unable to parse string as a number, "
        "not 'none'\n"
    )


def test_a_library_that_is_missing_is_one_sentence(monkeypatch, call, capsys):
    monkeypatch.setitem(sys.modules, "asr_diarization.assembly", None)
    monkeypatch.delattr("asr_diarization.assembly", raising=False)
    assert main(["transcribe", str(call)]) == 2
    assert capsys.readouterr().err.endswith("python -m asr_diarization doctor says more\n")


def test_the_doctor_prints_json_whatever_the_settings(monkeypatch, capsys):
    monkeypatch.setenv("DEVICE", "gpu")
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["is_ok"] is False
    (finding,) = report["findings"]
    assert finding["text"] == "DEVICE must be auto, cpu, mps, cuda or cuda:N, not 'gpu'"


@pytest.mark.parametrize("arguments", [["--help"], ["deploy", "--help"], ["doctor", "--help"]])
@pytest.mark.parametrize(
    ("started", "name", "other"),
    [
        ("/usr/bin/asr-diarization", "asr-diarization", "python -m asr_diarization"),
        ("/x/asr_diarization/__main__.py", "python -m asr_diarization", "asr-diarization"),
    ],
)
def test_help_names_the_program_as_it_was_started(
    monkeypatch, capsys, started, name, other, arguments
):
    monkeypatch.setattr(sys, "argv", [started, *arguments])
    with pytest.raises(SystemExit):
        main(arguments)
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: {name} ")
    assert shown.count(f" {name} ") >= 3
    assert f" {other} " not in shown


class Bar:
    """A bar of tqdm that only records when it is closed."""

    closed: ClassVar[list[str]] = []

    def __init__(self, *, desc, **_):
        self.n, self.name = 0, desc

    def update(self, done):
        self.n += done

    def close(self):
        self.closed.append(f"{self.name} {self.n}")


@pytest.fixture
def closed_bars(monkeypatch):
    monkeypatch.setattr("tqdm.tqdm", Bar)
    monkeypatch.setattr(Bar, "closed", [])
    return Bar.closed


def test_bars_of_models_close_from_the_last_to_the_first(monkeypatch, closed_bars, tmp_path):
    def build(directory, show):
        show("whisper", 1, 2)
        show("diarization", 3, 3)
        show("whisper", 2, 2)

    monkeypatch.setattr("asr_diarization.local_models.build.build_local_models", build)
    assert main(["models", "--directory", str(tmp_path)]) == 0
    assert closed_bars == ["diarization 3", "whisper 2"]


def test_bars_of_a_recording_close_from_the_last_to_the_first(transcriber, call, closed_bars):
    assert main(["transcribe", str(call)]) == 0
    stages = ["transcribe", "diarize", "decode"]
    assert closed_bars == [f"call.wav: {stage} 100.0" for stage in stages]


def test_help_says_how_to_choose_models(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "ASR_MODEL" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["transcribe"], ["transcribe", "a.wav", "--fromat", "x"]]
)
def test_a_wrong_command_line_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
