"""Door 2 as it is run: a process with the local models, and the clients that people have."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_socket

from tests.support.paths import REPO

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")
pytest.importorskip("openai", reason="the server runs on today's libraries only")

import httpx
import huggingface_hub
import openai
import requests

from tests.support.serving import serving

SAID = "going along slushy country roads"
KEY = "a-key-of-this-test"


@pytest.fixture(scope="module")
def server(models_dir, tmp_path_factory):
    with serving(models_dir, tmp_path_factory.mktemp("server"), API_KEYS=KEY) as started:
        yield started


@pytest.fixture(autouse=True)
def _loopback(_alone):
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])


@pytest.fixture
def url(server):
    return server[0]


@pytest.fixture
def sample(data_dir):
    return data_dir / "formats" / "sample1.flac"


HEADERS = {"Authorization": f"Bearer {KEY}"}


def test_requests_sends_a_form(url, phone_call):
    with phone_call.open("rb") as file:
        answer = requests.post(
            f"{url}/predict",
            files={"file": file},
            data={"parameters": json.dumps({"num_speakers": 2})},
            headers=HEADERS,
            timeout=300,
        )
    body = answer.json()
    assert answer.status_code == 200
    assert {turn["speaker"] for turn in body["turns"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert {word["speaker"] for word in body["words"]} == {"SPEAKER_00", "SPEAKER_01"}
    assert "New Jersey" in body["text"]


def test_httpx_sends_json(url, sample):
    inputs = base64.b64encode(sample.read_bytes()).decode()
    answer = httpx.post(f"{url}/", json={"inputs": inputs}, headers=HEADERS, timeout=300)
    assert answer.json()["text"].startswith(SAID)


@pytest.mark.parametrize("name", ["sample1.wav", "sample1.mp3", "sample1.ogg", "sample1.webm"])
def test_curl_sends_a_file(url, data_dir, name):
    ended = subprocess.run(
        ["curl", "-sS", "--data-binary", f"@{data_dir / 'formats' / name}",
         "-H", f"Authorization: Bearer {KEY}", f"{url}/predict?diarize=false"],
        capture_output=True, check=True, timeout=300,
    )  # fmt: skip
    assert json.loads(ended.stdout)["text"].startswith(SAID)


class TestHub:
    """huggingface_hub sends a type it guessed, none at all, or JSON."""

    @pytest.fixture(autouse=True)
    def _online(self, monkeypatch):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)

    @pytest.fixture
    def client(self, url):
        return huggingface_hub.InferenceClient(model=url, token=KEY)

    def test_a_path(self, client, sample):
        assert client.automatic_speech_recognition(str(sample)).text.startswith(SAID)

    def test_a_path_whose_type_the_default_container_refuses(self, client, data_dir):
        path = data_dir / "formats" / "sample1.webm"
        assert client.automatic_speech_recognition(str(path)).text.startswith(SAID)

    def test_bytes(self, client, sample):
        answer = client.automatic_speech_recognition(sample.read_bytes())
        assert answer["words"][0]["word"].lower() == "going"

    def test_parameters(self, client, sample):
        answer = client.automatic_speech_recognition(
            sample.read_bytes(), extra_body={"num_speakers": 1, "language": "en"}
        )
        assert answer.text.startswith(SAID)
        assert {word["speaker"] for word in answer["words"]} == {"SPEAKER_00"}

    def test_an_error_is_told(self, client):
        with pytest.raises(huggingface_hub.errors.HfHubHTTPError, match="415"):
            client.automatic_speech_recognition(b"this is no audio")

    def test_async(self, url, sample):
        async def ask():
            client = huggingface_hub.AsyncInferenceClient(model=url, token=KEY)
            audio = sample.read_bytes()
            return [
                await client.automatic_speech_recognition(audio),
                await client.automatic_speech_recognition(audio, extra_body={"diarize": False}),
            ]

        assert all(answer.text.startswith(SAID) for answer in asyncio.run(ask()))


class TestOpenAI:
    @pytest.fixture
    def client(self, url):
        with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
            yield client

    def create(self, client, path, **fields):
        with path.open("rb") as file:
            return client.audio.transcriptions.create(model="whisper-1", file=file, **fields)

    def test_json_and_subtitles(self, client, sample):
        assert self.create(client, sample).text.startswith(SAID)
        subtitles = self.create(client, sample, response_format="srt")
        assert subtitles.startswith("1\n00:00:0")
        assert SAID in subtitles.replace("\n", " ")

    def test_verbose_json(self, client, sample):
        answer = self.create(
            client,
            sample,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            language="en",
            prompt="A lecture.",
        )
        assert answer.duration == pytest.approx(13.69, abs=0.01)
        assert answer.words[0].word.lower() == "going"
        assert answer.segments[0].text.lower().startswith(SAID)

    def test_diarized_json(self, client, phone_call):
        answer = self.create(
            client, phone_call, response_format="diarized_json", extra_body={"num_speakers": 2}
        )
        assert {segment.speaker for segment in answer.segments} == {"SPEAKER_00", "SPEAKER_01"}

    def test_streaming(self, client, sample):
        stream = self.create(client, sample, response_format="diarized_json", stream=True)
        events = list(stream)
        deltas = [e.delta for e in events if e.type == "transcript.text.delta"]
        assert "".join(deltas) == events[-1].text
        assert events[-1].text.startswith(SAID)
        assert any(e.type == "transcript.text.segment" and e.speaker for e in events)

    def test_async(self, url, sample):
        async def ask():
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY) as client:
                return await client.audio.translations.create(
                    model="whisper-1", file=sample.read_bytes()
                )

        assert asyncio.run(ask()).text

    def test_errors_are_its_own(self, client, url, sample):
        with pytest.raises(openai.UnprocessableEntityError, match="response_format"):
            self.create(client, sample, response_format="docx")
        stranger = client.with_options(api_key="wrong")
        with pytest.raises(openai.AuthenticationError, match="API key"):
            stranger.models.list()
        assert [model.id for model in client.models.list()] == ["whisper-base"]


def test_progress_is_seen_before_the_end(url, phone_call):
    began, first, names, far = time.monotonic(), None, [], {}
    with httpx.stream(
        "POST",
        f"{url}/predict",
        content=phone_call.read_bytes(),
        headers={**HEADERS, "Accept": "text/event-stream"},
        timeout=300,
    ) as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                first = first or time.monotonic() - began
                names.append(line[7:])
            elif names[-1:] == ["progress"] and line.startswith("data: "):
                data = json.loads(line[6:])
                far[data["stage"]] = data["done"] / data["total"]
    assert far == {"decode": 1, "diarize": 1, "transcribe": 1}
    assert names[:2] == ["waveform", "progress"]
    assert names[-1] == "transcript"
    assert "segment" in names
    assert first < 0.5 * (time.monotonic() - began)


def test_two_callers_get_their_own_and_health_answers_meanwhile(url, data_dir):
    names = ("sample1.wav", "fr-FR_Narrowband_sample1.wav")
    seconds: list[float] = []
    done = threading.Event()

    def ask(name: str) -> str:
        audio = (data_dir / "formats" / name).read_bytes()
        target = f"{url}/predict?diarize=false"
        return httpx.post(target, content=audio, headers=HEADERS, timeout=300).json()["language"]

    def watch() -> None:
        with httpx.Client() as client:
            while not done.is_set():
                began = time.perf_counter()
                assert client.get(f"{url}/health").text == "OK"
                seconds.append(time.perf_counter() - began)
                time.sleep(0.02)

    with ThreadPoolExecutor() as pool:
        watching = pool.submit(watch)
        languages = list(pool.map(ask, names))
        done.set()
        watching.result()
    assert languages == ["en", "fr"]
    # 95 of 100, because whatever else runs on this machine is measured too.
    assert sorted(seconds)[int(0.95 * len(seconds))] < 0.1


def test_who_hangs_up_stops_the_work(server, phone_call):
    url, _, log = server
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/predict", content=phone_call.read_bytes(), headers=HEADERS, timeout=1.5)
    deadline = time.monotonic() + 60
    while '"error": "CancelledError"' not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert httpx.get(f"{url}/ready").json() == {"ready": True, "running": 0, "waiting": 0}


def test_the_description_is_kept(url, tmp_path):
    ended = subprocess.run(
        [Path(sys.executable).parent / "schemathesis", "run", f"{url}/openapi.json",
         "--max-examples", "20", "--generation-database", "none",
         "-H", f"Authorization: Bearer {KEY}",
         # What is a recording no schema can say, so that most of what it sends is refused.
         "--exclude-checks", "positive_data_acceptance", "--no-color"],
        check=False, capture_output=True, text=True, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-5000:]


def test_the_log_has_one_json_line_per_request_and_no_secret(server):
    url, _, log = server
    httpx.get(f"{url}/health", headers={**HEADERS, "X-Request-ID": "look-for-me"})
    deadline = time.monotonic() + 30
    while "look-for-me" not in (text := log.read_text()):  # it is written after the answer is sent
        assert time.monotonic() < deadline
        time.sleep(0.05)
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("request_id") == "look-for-me"]
    assert (line["path"], line["status"]) == ("/health", 200)
    assert KEY not in text
    assert "slushy" not in text


def test_a_signal_lets_work_finish(models_dir, tmp_path, sample, phone_call):
    with serving(models_dir, tmp_path, SHUTDOWN_SECONDS="60") as (url, process, log):
        with ThreadPoolExecutor() as pool:
            target = f"{url}/predict?diarize=false"
            audio = sample.read_bytes()
            first = pool.submit(httpx.post, target, content=audio, timeout=300)
            while httpx.get(f"{url}/ready").json()["running"] == 0:
                time.sleep(0.01)
            second = pool.submit(httpx.post, target, content=audio, timeout=300)
            while httpx.get(f"{url}/ready").json()["waiting"] == 0:
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            assert second.result().status_code == 503
            assert first.result().json()["text"].startswith(SAID)
        process.wait(30)
        assert "Traceback" not in log.read_text()


def test_a_signal_ends_an_upload_that_is_under_way(models_dir, tmp_path):
    with serving(models_dir, tmp_path, SHUTDOWN_SECONDS="60") as (url, process, log):
        began = threading.Event()

        def half_a_recording():
            yield b"RIFF" + bytes(2**16)
            began.set()
            process.wait(30)

        with ThreadPoolExecutor() as pool:
            target = f"{url}/predict"
            slow = pool.submit(httpx.post, target, content=half_a_recording(), timeout=60)
            assert began.wait(30)
            httpx.get(f"{url}/health")  # what was sent before has arrived
            process.send_signal(signal.SIGTERM)
            process.wait(20)
            answer = slow.result()
        assert answer.status_code == 503
        assert answer.json()["type"] == "ShuttingDownError"
        assert answer.headers["retry-after"]
        assert "Traceback" not in log.read_text()


def test_a_model_that_is_not_there_is_one_sentence(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "asr_diarization", "serve", "--port", "0"],
        check=False, cwd=REPO, capture_output=True, text=True, timeout=120,
        env={**os.environ, "ASR_MODEL": str(tmp_path / "nothing"), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in ended.stderr
