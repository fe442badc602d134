"""Settings of the server: its address, its keys and its limits."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from asr_diarization.config import ModelSettings


def _split(value: object) -> object:
    """Split `a, b`, as an environment variable writes a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_key(value: SecretStr) -> SecretStr:
    """Refuse what no client can send in a header."""
    if not all("!" <= character <= "~" for character in value.get_secret_value()):
        raise ValueError("must be visible ASCII characters without blanks")
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Secret = Annotated[SecretStr, AfterValidator(_check_key)]
Secrets = Annotated[tuple[Secret, ...], NoDecode, BeforeValidator(_split)]


class ServerSettings(ModelSettings):
    """`ModelSettings` and the server's own, from the environment; lists are split at commas."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` in a container."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    api_keys: Secrets = ()
    """Keys that open the API as `Authorization: Bearer KEY`; without any, it is open to all."""
    trusted_hosts: Names = ()
    """Host names the server answers to (`asr.example.org, *.example.com`, `*` for all); when empty
    all, but without `API_KEYS` on a loopback `HOST` only `localhost` and loopback addresses."""
    cors_origins: Names = ()
    """Origins whose pages may call the API from a browser; none when empty."""
    max_connections: int = Field(default=512, ge=1, le=100_000)
    """Connections open at the same time, or what `ulimit -n` leaves room for; beyond, those without
    a request are closed first."""
    header_seconds: float = Field(default=20.0, gt=0)
    """A connection that has sent no whole request header after this long is closed."""
    keep_alive_seconds: int = Field(default=75, ge=1, le=86_400)
    """How long a connection may be idle between two requests; longer than a load balancer's."""
    max_queue: int = Field(default=8, ge=0, le=10_000)
    """Recordings that may wait while another one is worked on; more are answered 429."""
    max_uploads: int = Field(default=32, ge=1, le=10_000)
    """Uploads being read at the same time; more are answered 429."""
    max_upload_bytes: int = Field(default=512 * 2**20, ge=1)
    """Larger recordings are refused while they are being read."""
    upload_idle_seconds: float = Field(default=30.0, gt=0)
    """An upload that sends nothing for this long is ended."""
    upload_seconds: float = Field(default=900.0, gt=0)
    """An upload that takes longer in all is ended."""
    min_upload_rate: int = Field(default=4096, ge=0)
    """Bytes per second; slower uploads make room for others when `MAX_UPLOADS` are being read."""
    stream_batch_size: int = Field(default=2, ge=1, le=256)
    """Windows decoded together for streams, unless the caller gives a `batch_size`."""
    shutdown_seconds: float = Field(default=25.0, ge=0)
    """How long a running request may go on after a signal to stop."""
