"""A loopback server with the Inference Endpoints API and a hub that accepts uploads."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback_hub import TOKEN, LoopbackHub, Repository, Request

NOW = "2026-11-24T00:00:00.000Z"
ANSWER = {
    "text": "Hello. Oh, hello.",
    "chunks": [],
    "speakers": [
        {"speaker": "SPEAKER_01", "text": " Hello.", "timestamp": [6.5, 8.3]},
        {"speaker": "SPEAKER_00", "text": "Oh, hello.", "timestamp": [68.3, 70.0]},
    ],
}


def compute(accelerator: str, kind: str, size: str, gb: float, **more: Any) -> dict[str, Any]:
    """An entry of the list of hardware."""
    is_gpu = accelerator == "gpu"
    return {
        "id": f"aws-us-east-1-{kind}-{size}",
        "accelerator": accelerator,
        "instanceType": kind,
        "instanceSize": size,
        "architecture": kind.title(),
        "numAccelerators": 1,
        "numCpus": 4,
        "memoryGb": 15 if is_gpu else gb,
        "gpuMemoryGb": gb if is_gpu else None,
        "pricePerHour": 0.5,
        "status": "available",
        "quota": {"maxAccelerators": 8, "usedAccelerators": 0},
        **more,
    }


@dataclass
class LoopbackEndpoints(LoopbackHub):
    """`endpoints` by name, `states` that each `GET` of a new one goes through, `commits` made."""

    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: list[tuple[str, str]] = field(default_factory=lambda: [("running", "")])
    computes: list[dict[str, Any]] = field(
        default_factory=lambda: [
            compute("cpu", "intel-spr", "x4", 8),
            compute("gpu", "nvidia-t4", "x1", 14),
            compute("gpu", "nvidia-l4", "x1", 24),
            compute("gpu", "nvidia-a10g", "x1", 24, status="deprecated"),
        ]
    )
    commits: list[dict[str, Any]] = field(default_factory=list)
    inference: dict[str, Any] = field(default_factory=lambda: dict(ANSWER))
    refusal: tuple[int, str] | None = None

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        path = request.path.strip("/").split("/")
        if path[0] == "running":
            return self._inference(request)
        if path[0] != "v2":
            return self._upload(request, path) or super().answer(request)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {}, b'{"error": "Invalid token"}'
        if self.refusal:
            return self.refusal[0], {}, json.dumps({"error": self.refusal[1]}).encode()
        if path[1] == "provider":
            region = {"name": "us-east-1", "computes": self.computes}
            return self._json({"vendors": [{"name": "aws", "regions": [region]}]})
        if request.method == "POST" and len(path) == 3:
            return self._json(self._public(self._create(request.json)))
        if path[3] not in self.endpoints:
            return 404, {}, b'{"error": "Endpoint not found"}'
        return self._on_endpoint(request, path)

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        model = {"task": None, "revision": None, **body["model"]}
        status = {"state": "pending", "message": "", "createdAt": NOW, "updatedAt": NOW}
        endpoint = {**body, "model": model, "status": status, "healthRoute": "/health"}
        self.endpoints[body["name"]] = endpoint
        return endpoint

    def _on_endpoint(self, request: Request, path: list[str]) -> tuple[int, dict[str, str], bytes]:
        endpoint, status = self.endpoints[path[3]], self.endpoints[path[3]]["status"]
        verb = path[4] if len(path) > 4 else request.method
        if verb == "logs":
            return 200, {"Content-Type": "text/plain"}, b"first line\nsecond line\nlast line\n"
        if verb == "DELETE":
            del self.endpoints[path[3]]
            return self._json({})
        if verb == "PUT":
            for part, change in request.json.items():
                endpoint[part].update(change)
        if verb in ("pause", "resume"):
            status["state"] = {"pause": "paused", "resume": "initializing"}[verb]
        if verb == "GET" and self.states:
            status["state"], status["message"] = self.states.pop(0)
        if status["state"] == "running":
            status["url"] = f"{self.url}/running/{path[3]}"
        return self._json(self._public(endpoint))

    def _public(self, endpoint: dict[str, Any]) -> dict[str, Any]:
        """The endpoint as the API shows it: with names of secrets, without their values."""
        secrets = dict.fromkeys(endpoint["model"].get("secrets") or {}, "")
        return {**endpoint, "model": {**endpoint["model"], "secrets": secrets}}

    def _inference(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.method == "GET":
            return 200, {}, b"Ok"
        if request.headers.get("content-type") != "application/json":
            return 400, {}, b'{"error": "Content type not supported"}'
        base64.b64decode(request.json["inputs"], validate=True)
        return self._json(self.inference)

    def _upload(
        self, request: Request, path: list[str]
    ) -> tuple[int, dict[str, str], bytes] | None:
        if request.path == "/api/repos/create":
            body = request.json
            name = f"{body.get('organization') or 'somebody'}/{body['name']}"
            self.repositories.setdefault(name, Repository())
            return self._json({"url": f"{self.url}/{name}", "name": name, "id": name})
        if request.path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if "preupload" in path:
            files = [
                {**f, "uploadMode": "regular", "shouldIgnore": False} for f in request.json["files"]
            ]
            return self._json({"files": files})
        if "commit" in path:
            lines = [json.loads(line) for line in request.body.splitlines()]
            repository = self.repositories["/".join(path[2:4])]
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                if line["key"] == "deletedFile":
                    del repository.files[value["path"]]
            oid = "1" * 40
            return self._json(
                {
                    "success": True,
                    "commitOid": oid,
                    "commitUrl": f"{self.url}/{'/'.join(path[2:4])}/commit/{oid}",
                }
            )
        if "tree" in path:
            name = "/".join(path[2:4])
            files = self.repositories[name].files
            listed = [
                {"type": "file", "path": p, "size": len(c), "oid": "0" * 40}
                for p, c in files.items()
            ]
            return self._json(listed)
        return None
