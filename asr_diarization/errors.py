"""The exceptions of this project, by whose fault they are.

    AsrDiarizationError
    ├── InvalidRequestError(ValueError)      the caller's fault: change the request
    │   ├── InvalidAudioError                not audio, corrupt, empty, no audio stream
    │   ├── AudioTooLongError                longer or larger than this deployment accepts
    │   ├── TranscriptTooLargeError          more to render than this deployment accepts
    │   └── InvalidParameterError            unknown value, out of bounds, contradictory
    ├── BusyError                            try again later
    │   └── ShuttingDownError                this server stops; another one will answer
    ├── UploadTimeoutError                   the body of a request did not arrive in time
    ├── NoRoomError                          uploads cannot be stored: a full disk, a missing folder
    ├── CancelledError                       nobody waits for the result any more
    ├── OutOfMemoryError(MemoryError)        this machine is too small for the request
    ├── ListenError(RuntimeError)            raised at start only: the server's address is taken
    ├── ModelLoadError(RuntimeError)         raised at start only: token, gate, path or mismatch
    └── DeployError(RuntimeError)            an endpoint cannot be made, reached or changed

Every message is complete: hosts show callers nothing else. No message holds a secret.
"""


class AsrDiarizationError(Exception):
    """The base of all exceptions that this project raises."""


class InvalidRequestError(AsrDiarizationError, ValueError):
    """The request cannot be answered as it is; the message says what to change."""


class InvalidAudioError(InvalidRequestError):
    """The bytes hold no audio that FFmpeg can decode."""


class AudioTooLongError(InvalidRequestError):
    """The recording exceeds a limit of this deployment."""


class TranscriptTooLargeError(InvalidRequestError):
    """The transcript to render exceeds a limit of this deployment."""


class InvalidParameterError(InvalidRequestError):
    """A parameter has a value that is not allowed, alone or together with another one."""


class BusyError(AsrDiarizationError):
    """All places in the queue are taken."""


class ShuttingDownError(BusyError):
    """The server stops; another one, or the next one, will answer."""

    def __init__(self, message: str = "the server is shutting down; try again in a moment") -> None:
        super().__init__(message)


class UploadTimeoutError(AsrDiarizationError):
    """The body of a request did not arrive in time."""


class NoRoomError(AsrDiarizationError):
    """An upload cannot be stored; the message says why."""


class CancelledError(AsrDiarizationError):
    """The caller disconnected; the work was stopped at the next window."""


class OutOfMemoryError(AsrDiarizationError, MemoryError):
    """Memory ran out even with a batch of one."""


class ModelLoadError(AsrDiarizationError, RuntimeError):
    """A model cannot be loaded; the message names it and what to do."""


class ListenError(AsrDiarizationError, RuntimeError):
    """The server cannot have the address it is to listen on."""


class DeployError(AsrDiarizationError, RuntimeError):
    """The host of endpoints refused, or an endpoint does not do what it should."""


def one_line(message: object) -> str:
    """The text of an error or another message on one line; its class name if an error has none."""
    text = " ".join(str(message).split())
    return text or type(message).__name__ if isinstance(message, Exception) else text
