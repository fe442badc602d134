"""The core: a recording in, a transcript with speakers out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from asr_diarization.audio import channels
from asr_diarization.audio.decode import (
    SAMPLE_RATE,
    Encoded,
    Waveform,
    check_audio,
    count_channels,
    decode_audio,
    decode_channels,
)
from asr_diarization.audio.windows import Window, WindowRules, speech_windows
from asr_diarization.config import InferenceConfig, ModelSettings
from asr_diarization.devices import is_out_of_memory
from asr_diarization.diarization.confidence import with_confidence
from asr_diarization.diarization.known_speakers import decode_voice, recognise, speech_of
from asr_diarization.errors import InvalidParameterError, OutOfMemoryError
from asr_diarization.merging import assign_speakers
from asr_diarization.protocols import (
    Diarizer,
    OnProgress,
    Progress,
    SpeechDetector,
    Transcriber,
    ignore_progress,
)
from asr_diarization.request_warnings import without_effect
from asr_diarization.transcript import Diarization, Segment, Transcript, Turn


@dataclass(frozen=True, slots=True)
class _Scene:
    """What was found out."""

    diarization: Diarization
    segments: tuple[Segment, ...]
    stats: Mapping[str, object]

    def renamed(self, names: Mapping[str, str]) -> _Scene:
        """The same, with those speakers' names."""
        if not names:
            return self
        segments = tuple(segment.renamed(names) for segment in self.segments)
        return _Scene(self.diarization.renamed(names), segments, self.stats)

    def numbered(self) -> _Scene:
        """The same; speakers are called SPEAKER_00 and so on, as they begin to say something."""
        saying = [segment.speaker for segment in self.segments if segment.speaker is not None]
        silent = [turn.speaker for turn in self.diarization.turns]
        speakers = dict.fromkeys((*saying, *silent, *self.diarization.embeddings))
        return self.renamed({name: f"SPEAKER_{n:02d}" for n, name in enumerate(speakers)})


class Pipeline:
    """Decode, find speech, diarize, transcribe, merge: one recording at a time."""

    def __init__(
        self,
        transcriber: Transcriber,
        diarizer: Diarizer | None,
        speech: SpeechDetector,
        settings: ModelSettings,
        *,
        concurrent: bool = False,
    ) -> None:
        """`concurrent` diarizes beside transcribing: a gain if the processor has room for both."""
        self._transcriber, self._diarizer, self._speech = transcriber, diarizer, speech
        self._settings, self._concurrent = settings, concurrent
        self._rules = WindowRules()

    def __call__(
        self,
        audio: Encoded,
        parameters: InferenceConfig | None = None,
        on_progress: OnProgress = ignore_progress,
    ) -> Transcript:
        """Who said what, when, in `audio`.

        Args:
            audio: a whole file, in any container FFmpeg knows: its bytes, or open for reading.
            parameters: what the caller wants; defaults if None.
            on_progress: called after every batch; what it raises stops the work.

        Raises:
            InvalidRequestError: the recording or a parameter cannot be used; see `errors`.
            OutOfMemoryError: the machine is too small.
        """
        try:
            return self._transcribe(audio, parameters or InferenceConfig(), on_progress)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise OutOfMemoryError(
                "not enough memory for this recording, whatever the batch size: send a shorter "
                "one, or use a smaller model or a larger machine"
            ) from error

    def _transcribe(
        self, audio: Encoded, parameters: InferenceConfig, on_progress: OnProgress
    ) -> Transcript:
        self._check(parameters)
        known = self._known_voices(parameters)
        clock = _Clock()
        waveforms = self._decode(audio, parameters)
        on_progress(Progress("decode", 1, 1, waveforms=waveforms))
        clock.lap("decode")
        windows = [self._windows(waveform, parameters) for waveform in waveforms]
        clock.lap("find_speech")
        scene = (
            self._scene(waveforms[0], windows[0], parameters, on_progress, clock)
            if len(waveforms) == 1
            else self._call(windows, parameters, on_progress, clock)
        )
        people = recognise(scene.diarization.embeddings, known)
        scene = scene.renamed({number: name for number, (name, _) in people.items()})
        duration = len(waveforms[0]) / SAMPLE_RATE
        return Transcript(
            language=_main_language(scene.segments),
            duration=duration,
            segments=with_confidence(
                scene.segments, scene.diarization.turns, apart=len(waveforms) > 1
            ),
            turns=scene.diarization.turns,
            warnings=without_effect(
                parameters,
                scene.diarization.turns,
                len(waveforms),
                diarizes=self._diarizer is not None,
            ),
            stats={
                "audio_seconds": round(duration, 3),
                "speech_seconds": round(sum(w.duration for some in windows for w in some), 3),
                "windows": sum(map(len, windows)),
                "channels": len(waveforms),
                "seconds": clock.laps,
                **scene.stats,
            },
            similarities=dict(people.values()),
            embeddings=scene.diarization.embeddings if parameters.return_embeddings else {},
        )

    def check(self, file: BinaryIO, parameters: InferenceConfig) -> None:
        """Raise at once what `__call__` would only after waiting for its turn.

        Raises:
            InvalidRequestError: a parameter cannot be used, or `file` begins like no audio.
        """
        self._check(parameters)
        check_audio(file)

    def _check(self, parameters: InferenceConfig) -> None:
        """Refuse what no model here can do."""
        self._transcriber.check(parameters)
        if parameters.assisted and not self._transcriber.has_assistant:
            raise InvalidParameterError(
                "assisted=true needs an assistant model, and this deployment has none: "
                "leave it out, or set ASSISTANT_MODEL"
            )

    def _known_voices(self, parameters: InferenceConfig) -> dict[str, tuple[float, ...]]:
        """The vector of everybody the caller knows."""
        if self._diarizer is None or not parameters.diarize:
            return {}
        voices = {}
        for known in parameters.known_speakers:
            spoken = speech_of(self._windows(decode_voice(known), parameters))
            if spoken is None:
                raise InvalidParameterError(
                    f"known_speakers: the audio of {known.name!r} has less than a second of speech"
                )
            voices[known.name] = self._diarizer.voice(spoken)
        return voices

    def _decode(self, audio: Encoded, parameters: InferenceConfig) -> tuple[Waveform, ...]:
        """One waveform, or one for each channel where each is somebody's."""
        limit, wish = self._settings.max_audio_seconds, parameters.channels
        must_separate = parameters.diarize and wish == "separate"
        fewest, most = parameters.speaker_bounds
        may_separate = parameters.diarize and wish == "auto" and fewest <= 2 <= most
        if not must_separate and count_channels(audio) != 2:
            return (decode_audio(audio, max_seconds=limit),)
        found = decode_channels(audio, max_seconds=limit)
        if len(found) > 1 and (must_separate or (may_separate and channels.is_call(found))):
            return channels.without_leaks(found)
        return (channels.mix(found),)

    def _windows(self, waveform: Waveform, parameters: InferenceConfig) -> tuple[Window, ...]:
        probabilities = self._speech.probabilities(waveform)
        return speech_windows(waveform, probabilities, parameters.chunk_length_s, self._rules)

    def _scene(
        self,
        waveform: Waveform,
        windows: Sequence[Window],
        parameters: InferenceConfig,
        on_progress: OnProgress,
        clock: _Clock,
    ) -> _Scene:
        """Diarize and transcribe, one after the other or side by side, and merge."""

        def diarize() -> Diarization:
            if self._diarizer is None or not parameters.diarize or not windows:
                return Diarization()
            return self._diarizer.diarize(waveform, parameters, on_progress)

        with ThreadPoolExecutor(max_workers=1) as beside:
            future: Future[Diarization] | None = (
                beside.submit(diarize) if self._concurrent else None
            )
            diarization = None if future else diarize()
            clock.lap("diarize")
            heard = self._transcriber.transcribe(windows, parameters, on_progress)
            clock.lap("transcribe")
            result = future.result() if future else diarization
            clock.lap("wait_for_diarization")
        assert result is not None
        segments = [segment for window in heard.windows for segment in window]
        return _Scene(result, assign_speakers(segments, result.exclusive), heard.stats).numbered()

    def _call(
        self,
        windows: Sequence[Sequence[Window]],
        parameters: InferenceConfig,
        on_progress: OnProgress,
        clock: _Clock,
    ) -> _Scene:
        """Transcribe each channel's windows, which say who speaks."""
        owned = sorted(
            ((channels.name(n), window) for n, some in enumerate(windows) for window in some),
            key=lambda pair: pair[1].start,
        )
        heard = self._transcriber.transcribe([w for _, w in owned], parameters, on_progress)
        clock.lap("transcribe")
        segments = [
            segment.attributed(speaker)
            for (speaker, _), said in zip(owned, heard.windows, strict=True)
            for segment in said
        ]
        segments.sort(key=lambda segment: segment.start)
        turns = tuple(
            sorted(
                Turn(max(run.start, window.start), min(run.end, window.end), who)
                for who, window in owned
                for run in window.speech
            )
        )
        embeddings = {}
        if self._diarizer and (parameters.known_speakers or parameters.return_embeddings):
            for number, some in enumerate(windows):
                if (spoken := speech_of(some)) is not None:
                    embeddings[channels.name(number)] = self._diarizer.voice(spoken)
        return _Scene(Diarization(turns, turns, embeddings), tuple(segments), heard.stats)


class _Clock:
    """Wall seconds of each stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round(now - self._last, 3)
        self._last = now


def _main_language(segments: Sequence[Segment]) -> str | None:
    """The language most of the speech is in."""
    seconds: Counter[str] = Counter()
    for segment in segments:
        if segment.language is not None:
            seconds[segment.language] += max(segment.end - segment.start, 1e-3)  # type: ignore[assignment]
    return max(seconds, key=seconds.__getitem__, default=None)
