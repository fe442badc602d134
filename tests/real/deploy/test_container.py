"""The endpoint as the default container runs it, asked by the clients people have.

`tests.support.toolkit` stands in for the container; the folder it serves holds what `deploy push`
uploads, and no more.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_socket

from tests.support.paths import REPO

pytest.importorskip("orjson", reason="the default container has it; today's libraries do not")

import huggingface_hub
import requests
from huggingface_hub.errors import BadRequestError

from asr_diarization.deploy import watch
from asr_diarization.deploy.files import files_of_endpoint
from tests.support import toolkit
from tests.support.example_programs import PROGRAMS, check_example

SAID = "going along slushy country roads"
JSON_HEADER = {"Content-Type": "application/json"}
SPEAKERS = {"SPEAKER_00", "SPEAKER_01"}


@contextmanager
def container(folder: Path, local_models: dict[str, str], task: str = "custom", **variables: str):
    """A started container that serves `folder`: its address and its log."""
    for name in files_of_endpoint():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((REPO / name).read_bytes())
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    given = {
        **kept, **local_models, "HF_MODEL_DIR": str(folder), "HF_TASK": task,
        "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        **variables,
    }  # fmt: skip
    log = folder / "container.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, toolkit.__file__],
            cwd=folder, env=given, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while not (found := re.search(r"listening on (http://\S+)", log.read_text())):
            if process.poll() is not None:
                break
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found and found[1], log
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def url(local_models, tmp_path_factory):
    with container(tmp_path_factory.mktemp("repository"), local_models) as (address, log):
        assert address, log.read_text()
        yield address


@pytest.fixture(autouse=True)
def _loopback(_alone, monkeypatch):
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    huggingface_hub.utils.reset_sessions()


@pytest.fixture
def sample(data_dir):
    return data_dir / "formats" / "sample1.flac"


def post(url: str, body, **headers: str):
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.post(url, data=body, headers=given, timeout=300)


class TestRequests:
    def test_raw_audio_and_a_query_string(self, url, phone_call):
        answer = post(
            f"{url}/predict?num_speakers=2&diarize=true&chunk_length_s=25.5&language=en",
            phone_call.read_bytes(),
            Content_Type="audio/wav",
        )
        body = answer.json()
        assert answer.status_code == 200, body
        assert {turn["speaker"] for turn in body["speakers"]} == SPEAKERS
        assert all(len(chunk["timestamp"]) == 2 for chunk in body["chunks"])
        assert "New Jersey" in body["text"]
        assert body["warnings"] == []

    @pytest.mark.parametrize("wrap", ["{}", "data:audio/flac;base64,{}"])
    def test_json(self, url, sample, wrap):
        inputs = wrap.format(base64.b64encode(sample.read_bytes()).decode())
        body = {"inputs": inputs, "parameters": {"num_speakers": 1, "num_speker": 1}}
        answer = requests.post(url, json=body, timeout=300).json()
        assert answer["text"].startswith(SAID)
        assert "num_speker" in answer["warnings"][0]

    @pytest.mark.parametrize("parameters", [None, {}])
    def test_json_with_parameters_in_the_query(self, url, sample, parameters):
        body = {"inputs": base64.b64encode(sample.read_bytes()).decode()}
        if parameters is not None:
            body["parameters"] = parameters
        answer = requests.post(f"{url}?diarize=false", json=body, timeout=300).json()
        assert (answer["speakers"] == []) is (parameters is None)  # the body goes first

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("sample1.mp3", "audio/mpeg"),
            ("sample1.webm", "audio/webm"),
            ("sample1.ogg", "audio/ogg"),
            ("sample.m4a", "audio/m4a"),
            ("sample.amr", "audio/AMR"),
            ("sample1.mp3", "audio/wav"),
        ],
    )
    def test_every_type_it_takes(self, url, data_dir, name, kind):
        audio = (data_dir / "formats" / name).read_bytes()
        answer = post(f"{url}?diarize=false", audio, Content_Type=kind)
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["text"]) > 20

    @pytest.mark.parametrize(
        "kind", ["audio/mp4", "audio/mp3", "application/octet-stream", "video/mp4", "Audio/WAV"]
    )
    def test_types_it_refuses_before_us(self, url, kind):
        answer = post(url, b"RIFF", Content_Type=kind)
        assert (answer.status_code, "not supported" in answer.text) == (400, True)

    def test_what_axios_accepts_is_refused(self, url, data_dir):
        silence = (data_dir / "nonspeech" / "silence_5s.flac").read_bytes()
        wish = "application/json, text/plain, */*"
        assert post(url, silence, Content_Type="audio/flac", Accept=wish).status_code == 400

    @pytest.mark.parametrize(
        ("query", "body", "complaint"),
        [
            ("", b"this is no audio", "no audio"),
            ("", b"", "empty"),
            ("?num_speakers=many", b"x" * 99, "num_speakers"),
            ("?num_speakers=2&max_speakers=3", b"x" * 99, "num_speakers excludes"),
            ("?assisted=true", b"x" * 99, "ASSISTANT_MODEL"),
        ],
    )
    def test_a_bad_request_is_one_sentence(self, url, query, body, complaint):
        answer = post(url + query, body, Content_Type="audio/wav")
        assert answer.status_code == 400
        text = answer.json()["error"]
        assert complaint in text
        assert "\n" not in text

    def test_silence_is_no_fault(self, url, data_dir):
        silence = (data_dir / "nonspeech" / "silence_5s.flac").read_bytes()
        answer = post(url, silence, Content_Type="audio/flac")
        assert (answer.status_code, answer.json()["text"]) == (200, "")

    def test_health_answers_while_one_call_works_and_another_waits(self, url, phone_call, sample):
        answers = []

        def ask(audio):
            answers.append(post(url, audio.read_bytes(), Content_Type="audio/wav").status_code)

        threads = [threading.Thread(target=ask, args=[path]) for path in (phone_call, sample)]
        for thread in threads:
            thread.start()
        assert requests.get(f"{url}/health", timeout=5).text == "Ok"
        assert answers == []  # the answer came meanwhile
        for thread in threads:
            thread.join()
        assert answers == [200, 200]


class TestHub:
    def test_json(self, url, phone_call):
        client = huggingface_hub.InferenceClient(model=url, headers=JSON_HEADER)
        answer = client.automatic_speech_recognition(
            str(phone_call), extra_body={"num_speakers": 2}
        )
        assert {turn["speaker"] for turn in answer["speakers"]} == SPEAKERS
        assert answer.chunks[0].timestamp[0] > 0

    def test_raw_audio(self, url, sample):
        client = huggingface_hub.InferenceClient(model=url, headers={"Content-Type": "audio/flac"})
        assert client.automatic_speech_recognition(sample.read_bytes()).text.startswith(SAID)

    def test_async(self, url, sample):
        async def ask():
            client = huggingface_hub.AsyncInferenceClient(model=url, headers=JSON_HEADER)
            return await client.automatic_speech_recognition(
                sample.read_bytes(), extra_body={"language": "en"}
            )

        assert asyncio.run(ask()).text.startswith(SAID)

    def test_without_a_type_the_old_client_is_refused(self, url, sample):
        client = huggingface_hub.InferenceClient(model=url)
        with pytest.raises(BadRequestError, match="not supported"):
            client.automatic_speech_recognition(str(sample))

    def test_a_complaint_reaches_the_caller(self, url, sample):
        client = huggingface_hub.InferenceClient(model=url, headers=JSON_HEADER)
        with pytest.raises(BadRequestError, match="klingon"):
            client.automatic_speech_recognition(str(sample), extra_body={"language": "klingon"})

    def test_deploy_test(self, url, phone_call):
        answer = watch.ask(SimpleNamespace(url=url, name="calls"), phone_call, None)
        assert {turn["speaker"] for turn in answer["speakers"]} == SPEAKERS


@pytest.mark.parametrize(
    "path", [path for path in PROGRAMS if "openai" not in path.name], ids=lambda path: path.name
)
def test_an_example(path, url, phone_call, tmp_path):
    check_example(path, phone_call, tmp_path, ENDPOINT_URL=url, HF_TOKEN="hf_any")


def test_the_task_of_speech_recognition(local_models, tmp_path, sample):
    """There the container decodes base64 itself, where parameters come with it."""
    inputs = base64.b64encode(sample.read_bytes()).decode()
    with container(tmp_path, local_models, "automatic-speech-recognition") as (url, log):
        assert url, log.read_text()
        for body in ({"inputs": inputs}, {"inputs": inputs, "parameters": {"diarize": False}}):
            answer = requests.post(url, json=body, timeout=300)
            assert answer.json()["text"].startswith(SAID)
        address = {"inputs": f"data:audio/flac;base64,{inputs}", "parameters": {}}
        assert requests.post(url, json=address, timeout=300).status_code == 400


@pytest.mark.parametrize(
    ("variable", "model", "complaints"),
    [
        ("ASSISTANT_MODEL", "{}/whisper-tiny.en", ["vocabulary 51864 against 51865"]),
        ("DIARIZATION_MODEL", "a/pipeline", ["a/pipeline", "the hub is switched off"]),
    ],
)
def test_a_container_that_cannot_start_says_why_in_one_paragraph(
    local_models, models_dir, tmp_path, variable, model, complaints
):
    wrong = {**local_models, variable: model.format(models_dir)}
    with container(tmp_path, wrong) as (url, log):
        assert url is None
        last = log.read_text().strip().splitlines()[-1]
    assert "ModelLoadError" in last
    assert all(complaint in last for complaint in complaints), last
