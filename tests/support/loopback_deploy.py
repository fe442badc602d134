"""Fixtures that run `deploy ...` as a command against the host's API on loopback."""

from __future__ import annotations

import inspect

import huggingface_hub
import pytest
import pytest_socket

from asr_diarization.cli.main import main
from asr_diarization.deploy import watch
from tests.support.loopback_endpoints import LoopbackEndpoints
from tests.support.loopback_hub import TOKEN, asking, listening

OWN_ENV = "env" in inspect.signature(huggingface_hub.HfApi.create_inference_endpoint).parameters
"""huggingface_hub 0.30 has no `env`: variables travel as secrets there."""
HAS_HARDWARE = hasattr(huggingface_hub.HfApi, "list_inference_endpoints_hardware")


@pytest.fixture(name="host")
def endpoints_api(monkeypatch):
    """The hub and the host of endpoints; the client has a token."""
    pytest_socket.enable_socket()
    pytest_socket.socket_allow_hosts(["127.0.0.1", "localhost"])
    host = LoopbackEndpoints()
    with listening(host) as url, asking(url, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr(watch.time, "sleep", lambda _: None)
        yield host


@pytest.fixture(name="run")
def command(host, capsys):
    """Runs `deploy ...`: exit code, standard output, standard error."""

    def run(line: str):
        code = main(["deploy", *line.split()])
        shown = capsys.readouterr()
        assert TOKEN not in shown.out + shown.err
        return code, shown.out, shown.err

    return run


@pytest.fixture(name="made")
def first_endpoint(run, host):
    """The request that created an endpoint: (path, body)."""
    assert run("create calls --repository somebody/asr")[0] == 0
    (asked,) = asked_of(host, "POST")
    return asked


def asked_of(host, *methods):
    """(path, body) of requests to the API of endpoints."""
    return [
        (request.path, request.json if request.body else None)
        for request in host.requests
        if request.path.startswith("/v2/endpoint") and request.method in methods
    ]


def environment_of(model):
    """Variables and secrets of a request, also where the client sends both as secrets."""
    secrets = dict(model.get("secrets") or {})
    return model.get("env") or {
        n: secrets.pop(n) for n in list(secrets) if n != "HF_TOKEN"
    }, secrets
