"""A file -> the waveforms to transcribe: the right track, and the channels that hold speech."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio import channels
from asr_diarization.audio.channels import Channels
from asr_diarization.audio.containers import Track
from asr_diarization.audio.decode import (
    MAX_SEPARATE_CHANNELS,
    SURROUND_CHANNELS,
    Encoded,
    Waveform,
    as_file,
    audio_tracks,
    decode_audio,
    decode_channels,
)
from asr_diarization.audio.headers import undeclared_seconds
from asr_diarization.audio.windows import STEP_SECONDS
from asr_diarization.config import InferenceConfig
from asr_diarization.errors import AudioTooLongError, InvalidAudioError

Detect = Callable[[Waveform], NDArray[np.float32]]
"""`SpeechDetector.probabilities`."""

MAX_COMPARED_TRACKS = 8
"""Every track that is compared is decoded."""
SPEECH_PROBABILITY = 0.5
MIN_SPEECH_SECONDS = 0.25
"""With less, a track or a channel holds no speech."""
MIN_SHARE = 0.5
"""A track or channel with this share of the most speech is as good as that one ..."""
MIN_OWN_SECONDS = 0.5
"""... and so is a channel with this much speech that the others do not hold."""
REACH_STEPS = 8
"""Speech within 0.25 s is the same speech."""
MAX_CORRELATION = 0.9
"""Channels that correlate more, of either sign, are one signal."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, and how it is decoded."""

    audio: Encoded
    max_seconds: float
    on_block: Callable[[], None]

    def mono(self, track: int) -> Waveform:
        return decode_audio(
            self.audio, max_seconds=self.max_seconds, track=track, on_block=self.on_block
        )

    def channels(self, track: int) -> tuple[Waveform, ...]:
        return decode_channels(
            self.audio, max_seconds=self.max_seconds, track=track, on_block=self.on_block
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """One waveform, or one per channel if each channel is one speaker's."""

    waveforms: tuple[Waveform, ...]
    warnings: tuple[str, ...] = ()
    """What was left out, and how to get it."""


def read_recording(
    audio: Encoded,
    parameters: InferenceConfig,
    max_seconds: float,
    detect: Detect,
    on_block: Callable[[], None] = lambda: None,
) -> Recording:
    """Decode the track and the channels that hold speech.

    `on_block` is called every few seconds of audio; an exception it raises stops the work.

    Raises:
        InvalidAudioError, InvalidParameterError, AudioTooLongError, OutOfMemoryError: as
            `decode_audio`.
    """
    source = _Source(audio, max_seconds, on_block)
    track, warnings = _choose_track(source, parameters.audio_track, detect)
    if missing := undeclared_seconds(as_file(audio)):
        warnings.append(
            f"the WAV header ends before the file: {missing:.1f} s after it were not read"
        )
    waveforms, left_out = _read_channels(source, track, parameters, detect)
    if left_out:
        numbers = ", ".join(str(number + 1) for number in left_out)
        warnings.append(
            f"channel{'s' if len(left_out) > 1 else ''} {numbers} without speech left out;"
            " channels=separate keeps all"
        )
    return Recording(waveforms, tuple(warnings))


def _choose_track(source: _Source, wanted: int | None, detect: Detect) -> tuple[Track, list[str]]:
    """The wanted track, else the player's choice, else the one with far more speech."""
    tracks = audio_tracks(source.audio)
    if wanted is not None:
        # An absent track was refused when the headers were checked, or is by the decoder.
        absent = Track(wanted, "unknown", 0, "", is_readable=False)
        return next((track for track in tracks if track.number == wanted), absent), []
    readable = [track for track in tracks if track.is_readable]
    chosen = readable[0]
    if len(tracks) == 1:
        return chosen, []
    compared = readable[:MAX_COMPARED_TRACKS]
    if len(compared) > 1:
        seconds = [_speech_seconds(source, track, detect) for track in compared]
        if seconds[0] < MIN_SHARE * max(seconds):
            chosen = compared[int(np.argmax(seconds))]
    others = ", ".join(str(t) for t in sorted(tracks, key=lambda t: t.number) if t != chosen)
    warning = (
        f"the recording has {len(tracks)} audio tracks: {chosen} was transcribed,"
        f" {others} {'was' if len(tracks) == 2 else 'were'} not; audio_track chooses"
    )
    return chosen, [warning]


def _speech_seconds(source: _Source, track: Track, detect: Detect) -> float:
    """Of a whole track; 0.0 if it cannot be decoded."""
    try:
        waveform = source.mono(track.number)
    except InvalidAudioError:
        return 0.0
    return float(np.count_nonzero(detect(waveform) >= SPEECH_PROBABILITY) * STEP_SECONDS)


def _read_channels(
    source: _Source, track: Track, parameters: InferenceConfig, detect: Detect
) -> tuple[tuple[Waveform, ...], list[int]]:
    """The waveforms, and the channels with sound, counted from 0, that are in none of them."""
    mode = parameters.channels if parameters.diarize else "mix"
    must_separate, number, count = mode == "separate", track.number, track.channels
    if not must_separate and (
        not 2 <= count <= MAX_SEPARATE_CHANNELS or count in SURROUND_CHANNELS
    ):
        return (source.mono(number),), []
    try:
        decoded = source.channels(number)
    except AudioTooLongError:
        if must_separate or count == 2:
            raise
        return (source.mono(number),), []
    min_speakers, max_speakers = parameters.speaker_bounds
    may_separate = mode == "auto" and min_speakers <= 2 <= max_speakers
    if len(decoded) > 1 and (must_separate or (may_separate and channels.is_call(decoded))):
        return channels.remove_crosstalk(decoded), []
    kept = channels_with_speech(decoded, detect)
    left_out = [n for n, c in enumerate(decoded) if n not in kept and c.any()]
    return (channels.mix([decoded[n] for n in kept]),), left_out


def channels_with_speech(decoded: Channels, detect: Detect) -> list[int]:
    """The channels to mix, counted from 0: those that hold speech; all if none does.

    One without signal or with noise alone only costs level and words. Channels that are one signal
    are not asked.
    """
    everything = list(range(len(decoded)))
    if len(decoded) == 1 or _is_one_signal(decoded):
        return everything
    spoken = [detect(channel) >= SPEECH_PROBABILITY for channel in decoded]
    seconds = [np.count_nonzero(steps) * STEP_SECONDS for steps in spoken]
    if max(seconds) < MIN_SPEECH_SECONDS:
        return everything
    kept: list[int] = []
    covered = np.zeros(len(spoken[0]), dtype=bool)
    for number in sorted(everything, key=lambda n: -seconds[n]):
        own = np.count_nonzero(spoken[number] & ~covered) * STEP_SECONDS
        if seconds[number] >= MIN_SHARE * max(seconds) or own >= MIN_OWN_SECONDS:
            kept.append(number)
            covered |= _widened(spoken[number])
    return sorted(kept)


def _is_one_signal(decoded: Channels) -> bool:
    first, *others = decoded
    energy = float(np.vdot(first, first))
    return all(
        abs(float(np.vdot(first, other)))
        > MAX_CORRELATION * np.sqrt(energy * float(np.vdot(other, other)))
        for other in others
    )


def _widened(spoken: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`spoken` with `REACH_STEPS` on each side of every run."""
    reach = np.ones(2 * REACH_STEPS + 1)
    widened: NDArray[np.bool_] = np.convolve(spoken, reach, mode="same")[: len(spoken)] > 0
    return widened
