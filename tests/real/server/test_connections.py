"""Door 2 as a process, and connections that do it harm: silent, half, broken, unread, too many."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import pytest_socket

from tests.support.paths import REPO

pytest.importorskip("fastapi", reason="the server runs on today's libraries only")

import httpx

from tests.support.asgi import AUDIO, TEXT
from tests.support.serving import serving_scripted

HALF = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
UPLOAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(autouse=True)
def _loopback(_alone):
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])


@pytest.fixture
def opened():
    """Opens connections that are closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def connect(url, sent=b""):
            connection = stack.enter_context(socket.create_connection(address_of(url), timeout=10))
            connection.sendall(sent)
            return connection

        yield connect


def address_of(url):
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


def received(connection):
    """Everything until the server closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(2**16):
            parts.append(part)
    return b"".join(parts)


def until_ok(connection):
    """Read to the end of an answer of `/health`."""
    answer = b""
    while not answer.endswith(b"\r\n\r\nOK"):
        part = connection.recv(2**16)
        assert part, answer
        answer += part


def lines_of(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def healthy(url):
    with socket.create_connection(address_of(url), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until_ok(connection)
    return True


@pytest.mark.parametrize("sent", [b"", HALF], ids=["nothing", "half"])
def test_a_connection_without_a_whole_header_ends_however_it_trickles(tmp_path, opened, sent):
    with serving_scripted(tmp_path, HEADER_SECONDS="0.6") as (url, _, log):
        connection, began = opened(url, sent), time.monotonic()
        if sent == HALF:
            with contextlib.suppress(OSError):
                for _ in range(40):
                    connection.sendall(b"x")
                    time.sleep(0.1)
        assert received(connection) == b""
        assert 0.4 < time.monotonic() - began < 6
        assert healthy(url)
        assert "Traceback" not in log.read_text()


def test_an_idle_connection_is_kept_for_its_time_and_a_half_request_on_it_is_not(tmp_path, opened):
    whole = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving_scripted(tmp_path, HEADER_SECONDS="0.5", KEEP_ALIVE_SECONDS="2") as (url, _, _):
        kept, half = opened(url, whole), opened(url, whole)
        for connection in (kept, half):
            until_ok(connection)
        half.sendall(HALF)
        began = time.monotonic()
        assert received(half) == b""
        assert time.monotonic() - began < 1.8
        kept.sendall(whole)  # after more than HEADER_SECONDS
        until_ok(kept)
        assert received(kept) == b""
        assert time.monotonic() - began > 1.8


@pytest.mark.skipif(not shutil.which("prlimit"), reason="util-linux is not installed")
def test_more_silent_connections_than_descriptors_keep_nobody_out(tmp_path, opened):
    with serving_scripted(tmp_path, descriptors=80) as (url, _, log):
        for number in range(200):
            opened(url, HALF)
            assert number % 20 or healthy(url)
        for _ in range(20):
            assert healthy(url)
        answer = httpx.post(f"{url}/predict", content=AUDIO, timeout=30)
        assert answer.json()["text"] == TEXT
        text = log.read_text()
        assert "ulimit -n" in text
        assert "Traceback" not in text
        assert len(text) < 20_000


def test_when_all_connections_have_a_request_a_new_one_is_told(tmp_path, opened):
    chunked = UPLOAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nRIFF\r\n"
    with serving_scripted(tmp_path, MAX_CONNECTIONS="3") as (url, _, log):
        uploads = [opened(url, chunked) for _ in range(3)]
        time.sleep(0.5)
        answer = received(opened(url))
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["type"] == "BusyError"
        uploads[0].close()
        time.sleep(0.2)
        assert healthy(url)
        assert "MAX_CONNECTIONS" in log.read_text()


def test_what_is_left_of_a_refused_upload_is_read_for_a_while_only(tmp_path, opened):
    head = UPLOAD + b"Content-Length: 100000\r\nContent-Encoding: gzip\r\n\r\n"
    with serving_scripted(tmp_path, UPLOAD_IDLE_SECONDS="1") as (url, _, log):
        connection, began = opened(url, head), time.monotonic()
        assert b" 415 " in connection.recv(2**16)
        with contextlib.suppress(OSError):
            for _ in range(60):
                connection.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < 5
        assert "Traceback" not in log.read_text()


def test_an_answer_that_nobody_takes_ends(tmp_path, opened):
    many = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000
    with serving_scripted(tmp_path, UPLOAD_IDLE_SECONDS="1") as (url, process, _):
        connection = opened(url)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            connection.sendall(many)
        time.sleep(3)
        process.send_signal(signal.SIGTERM)
        process.wait(5)  # it does not wait for this one


@pytest.mark.parametrize("after", [None, 0, 0.5], ids=["in one", "at once", "later"])
@pytest.mark.parametrize("body", [b"--y\r\nno form", b"--x\r\nbad\r\n"], ids=["alien", "bad"])
def test_chunks_that_break_after_a_bad_form_are_no_error_of_ours(tmp_path, opened, after, body):
    head = UPLOAD + b"Content-Type: multipart/form-data; boundary=x\r\n"
    chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
    with serving_scripted(tmp_path) as (url, _, log):
        sent, broken = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk, b"no size\r\n"
        connection = opened(url, sent + broken if after is None else sent)
        if after is not None:
            time.sleep(after)
            connection.sendall(broken)
        assert received(connection).split(b" ")[1] in (b"400", b"422")
        metrics = httpx.get(f"{url}/metrics").text
        assert 'status="500"' not in metrics
        assert 'asr_requests_total{route="/predict"' in metrics
        assert "Traceback" not in log.read_text()


def test_what_is_no_http_is_answered_in_our_words(tmp_path, opened):
    with serving_scripted(tmp_path) as (url, _, _):
        answer = received(opened(url, b"\x16\x03\x01 hello\r\n\r\n"))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


def test_a_port_in_use_is_noticed_before_models_are_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "asr_diarization", "serve", "--port", str(port)],
            check=False, cwd=REPO, capture_output=True, text=True, timeout=60,
            env={"PATH": "", "ASR_MODEL": str(tmp_path / "none"), "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: cannot listen on 127.0.0.1:{port} (HOST, PORT): ")


def test_a_host_that_is_not_of_this_machine_is_one_sentence(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "asr_diarization", "serve", "--host", "192.0.2.1"],
        check=False, cwd=REPO, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "192.0.2.1" in ended.stderr


def test_ctrl_c_ends_well(tmp_path):
    with serving_scripted(tmp_path) as (url, process, log):
        assert healthy(url)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert all(line["level"] == "info" for line in lines_of(log))


@pytest.mark.parametrize("watched", [False, True], ids=["answer", "events"])
def test_what_is_not_done_at_the_end_of_a_shutdown_is_told_in_our_words(tmp_path, watched):
    variables = {"BLOCKS": "1000000000", "SHUTDOWN_SECONDS": "0.5"}
    headers = {"Accept": "text/event-stream"} if watched else {}
    with (
        serving_scripted(tmp_path, **variables) as (url, process, log),
        ThreadPoolExecutor() as pool,
    ):
        asked = pool.submit(
            httpx.post, f"{url}/predict", content=AUDIO, headers=headers, timeout=60
        )
        while httpx.get(f"{url}/ready").json()["running"] == 0:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert "ShuttingDownError" in asked.result().text
        assert asked.result().status_code == (200 if watched else 503)
        process.wait(10)
        assert time.monotonic() - began < 5
        assert "Traceback" not in log.read_text()


def test_who_hangs_up_while_speech_is_looked_for_frees_the_worker_within_a_second(tmp_path):
    with serving_scripted(tmp_path, BLOCKS="1000000000") as (url, _, _):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/predict", content=AUDIO, timeout=1)
        time.sleep(1)
        assert httpx.get(f"{url}/ready").json()["running"] == 0


def test_every_name_of_localhost_is_listened_on(tmp_path):
    with serving_scripted(tmp_path, HOST="localhost") as (url, _, _):
        assert healthy(url)
        assert healthy(f"http://127.0.0.1:{address_of(url)[1]}")
        evil = httpx.post(f"{url}/predict", content=AUDIO, headers={"Host": "evil.example"})
        assert evil.status_code == 403


def test_a_folder_for_uploads_that_has_gone_is_answered_503(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    large = AUDIO + bytes(2**21)
    with serving_scripted(tmp_path, TMPDIR=str(folder)) as (url, _, log):
        assert httpx.post(f"{url}/predict", content=large, timeout=30).status_code == 200
        folder.rmdir()
        for request in ({"content": large}, {"files": {"file": large}}):
            answer = httpx.post(f"{url}/predict", timeout=30, **request)
            assert answer.status_code == 503
            assert "TMPDIR" in answer.json()["error"]
            assert str(folder) not in answer.text
        assert str(folder) in log.read_text()
        assert httpx.post(f"{url}/predict", content=AUDIO, timeout=30).status_code == 200
