"""An endpoint that is there: waiting, testing, pausing, its log, its end."""

from __future__ import annotations

import pytest

from tests.support.loopback_deploy import asked_of


class TestLife:
    def test_waiting_tells_what_happens(self, run, host, made):
        host.states = [("pending", ""), ("initializing", "pulling the image"), ("running", "")]
        code, out, err = run("wait calls")
        assert code == 0
        told = [line.split(" s  ")[1] for line in err.splitlines()]
        assert told == ["pending", "initializing: pulling the image", "running"]
        assert out == f"calls: running, {host.url}/running/calls\n"

    def test_waiting_for_one_that_fails(self, run, host, made):
        host.states = [("failed", "Exit code: 3")]
        code, _, err = run("wait calls")
        assert code == 2
        assert "calls failed: Exit code: 3; see deploy logs" in err

    @pytest.mark.parametrize(
        ("state", "way_out"),
        [
            ("paused", "calls is paused: deploy resume calls starts it"),
            ("scaledToZero", "calls is scaled to zero: deploy test calls wakes it"),
        ],
    )
    def test_waiting_for_one_that_sleeps(self, run, host, made, state, way_out):
        host.states = [(state, "")] * 2
        code, _, err = run("wait calls")
        assert code == 2
        assert err.endswith(f"error: {way_out}\n")
        assert len(host.states) == 1  # asked once

    def test_the_status_of_one_that_failed_says_why(self, run, host, made):
        host.states = [("failed", "Exit code: 3.\nReason: no HF_TOKEN")]
        assert run("status calls")[1] == (
            "calls: failed: Exit code: 3. Reason: no HF_TOKEN, no address yet\n"
        )

    def test_waiting_has_an_end(self, run, host, made):
        host.states = [("initializing", "")] * 99
        code, _, err = run("wait calls --timeout 0")
        assert code == 2
        assert "calls is initializing after 0 s" in err

    def test_testing_shows_who_said_what(self, run, host, made):
        code, out, err = run("test calls")
        assert (code, err) == (0, "")
        assert out == "[00:06.5 SPEAKER_01] Hello.\n[01:08.3 SPEAKER_00] Oh, hello.\n"
        asked = host.requests[-1]
        assert asked.headers["x-scale-up-timeout"] == "600"
        assert asked.json["parameters"] == {"diarize": True}

    @pytest.mark.parametrize(
        ("said", "complaint"),
        [({"speakers": []}, "without speakers"), ({"text": ""}, "without any words")],
    )
    def test_testing_finds_what_is_missing(self, run, host, made, said, complaint):
        host.inference.update(said)
        code, _, err = run("test calls")
        assert code == 2
        assert complaint in err

    def test_testing_with_a_recording_that_is_not_there(self, run, made):
        code, _, err = run("test calls --audio missing.wav")
        assert code == 2
        assert "missing.wav cannot be read: No such file" in err

    def test_testing_with_a_folder(self, run, made, tmp_path):
        code, _, err = run(f"test calls --audio {tmp_path}")
        assert code == 2
        assert f"{tmp_path} cannot be read: Is a directory" in err

    def test_testing_words_only(self, run, host, made):
        host.inference["speakers"] = []
        assert run("test calls --no-speakers")[:2] == (0, "Hello. Oh, hello.\n")

    def test_testing_one_without_an_address(self, run, host, made):
        host.states = []
        code, _, err = run("test calls")
        assert code == 2
        assert "is pending and has no address yet" in err

    def test_pause_and_resume(self, run, host, made):
        host.states = []
        assert run("pause calls")[1].startswith("calls: paused")
        assert run("resume calls")[1].startswith("calls: initializing")
        paths = [path for path, _ in asked_of(host, "POST")]
        base = "/v2/endpoint/somebody/calls"
        assert paths[1:] == [f"{base}/pause", f"{base}/resume"]

    def test_logs(self, run, made):
        assert run("logs calls --tail 2")[1] == "second line\nlast line\n"
        assert run("logs calls --tail 0")[1] == ""
        assert len(run("logs calls")[1].splitlines()) == 3

    def test_status_of_nothing(self, run, host):
        code, _, err = run("status nothing")
        assert code == 2
        assert "no such endpoint" in err

    def test_delete_asks(self, run, host, made, monkeypatch):
        host.states = []
        monkeypatch.setattr("builtins.input", lambda _: "no")
        assert run("delete calls")[0] == 2
        assert "calls" in host.endpoints
        monkeypatch.setattr("builtins.input", lambda _: "calls")
        assert run("delete calls")[0] == 0
        assert host.endpoints == {}

    def test_delete_where_nobody_can_be_asked(self, run, host, made, monkeypatch):
        host.states = []

        def ended(_: str) -> str:
            raise EOFError

        monkeypatch.setattr("builtins.input", ended)
        code, _, err = run("delete calls")
        assert code == 2
        assert "nothing was deleted: there is no terminal to ask; use --yes" in err
        assert "calls" in host.endpoints

    def test_delete_without_asking(self, run, host, made):
        host.states = []
        assert run("delete calls --yes") == (0, "calls: deleted\n", "")
        assert host.endpoints == {}
