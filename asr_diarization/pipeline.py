"""The core: a recording in, a transcript with speakers out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
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
from asr_diarization.diarization.known_speakers import decode_sample, extract_speech, recognise
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
from asr_diarization.request_warnings import ineffective_parameters
from asr_diarization.stages import StageTimer, stopping_point
from asr_diarization.transcript import Diarization, Segment, Transcript, Turn


@dataclass(frozen=True, slots=True)
class _Result:
    """Segments with speakers, and the diarization behind them."""

    diarization: Diarization
    segments: tuple[Segment, ...]
    stats: Mapping[str, object]

    def renamed(self, names: Mapping[str, str]) -> _Result:
        """The same result; speakers in `names` get new names."""
        if not names:
            return self
        segments = tuple(segment.renamed(names) for segment in self.segments)
        return _Result(self.diarization.renamed(names), segments, self.stats)

    def numbered(self) -> _Result:
        """The same result; speakers are SPEAKER_00, SPEAKER_01 ... in order of first segment.

        Speakers without a segment come last.
        """
        with_segments = [s.speaker for s in self.segments if s.speaker is not None]
        with_turns = [turn.speaker for turn in self.diarization.turns]
        speakers = dict.fromkeys((*with_segments, *with_turns, *self.diarization.embeddings))
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
        """`concurrent` diarizes while it transcribes: faster if the device has room for both."""
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
            parameters: the caller's; defaults if None.
            on_progress: called after every batch; an exception it raises stops the work.

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
        known = self._known_embeddings(parameters, on_progress)
        timer = StageTimer()
        waveforms = self._decode(audio, parameters, stopping_point("decode", on_progress))
        on_progress(Progress("decode", 1, 1, waveforms=waveforms))
        timer.end("decode")
        windows = [self._windows(waveform, parameters, on_progress) for waveform in waveforms]
        timer.end("find_speech")
        if len(waveforms) == 1:
            result = self._transcribe_mono(waveforms[0], windows[0], parameters, on_progress, timer)
        else:
            result = self._transcribe_channels(windows, parameters, on_progress, timer)
        matches = recognise(result.diarization.embeddings, known)
        result = result.renamed({speaker: name for speaker, (name, _) in matches.items()})
        turns, embeddings = result.diarization.turns, result.diarization.embeddings
        duration = len(waveforms[0]) / SAMPLE_RATE
        return Transcript(
            language=_main_language(result.segments),
            duration=duration,
            segments=with_confidence(result.segments, turns, separate_channels=len(waveforms) > 1),
            turns=turns,
            warnings=ineffective_parameters(
                parameters, turns, len(waveforms), has_diarizer=self._diarizer is not None
            ),
            stats={
                "audio_seconds": round(duration, 3),
                "speech_seconds": round(sum(w.duration for w in chain(*windows)), 3),
                "windows": sum(map(len, windows)),
                "channels": len(waveforms),
                "seconds": timer.seconds,
                **result.stats,
            },
            similarities=dict(matches.values()),
            embeddings=embeddings if parameters.return_embeddings else {},
        )

    def check(self, file: BinaryIO, parameters: InferenceConfig) -> None:
        """Raise errors that need no waiting for the models.

        Raises:
            InvalidRequestError: a parameter cannot be used, or the beginning of `file` is no audio.
        """
        self._check(parameters)
        check_audio(file)

    def _check(self, parameters: InferenceConfig) -> None:
        """Refuse parameters that the loaded models cannot meet."""
        self._transcriber.check(parameters)
        if parameters.assisted and not self._transcriber.has_assistant:
            raise InvalidParameterError(
                "assisted=true needs an assistant model, and this deployment has none: "
                "leave it out, or set ASSISTANT_MODEL"
            )

    def _known_embeddings(
        self, parameters: InferenceConfig, on_progress: OnProgress
    ) -> dict[str, tuple[float, ...]]:
        """The embedding of each known speaker."""
        if self._diarizer is None or not parameters.diarize:
            return {}
        embeddings = {}
        for known in parameters.known_speakers:
            speech = extract_speech(self._windows(decode_sample(known), parameters, on_progress))
            if speech is None:
                raise InvalidParameterError(
                    f"known_speakers: the audio of {known.name!r} has less than a second of speech"
                )
            embeddings[known.name] = self._diarizer.embed(speech)
        return embeddings

    def _decode(
        self, audio: Encoded, parameters: InferenceConfig, on_block: Callable[[], None]
    ) -> tuple[Waveform, ...]:
        """One waveform, or one per channel if each channel is one speaker's."""
        max_seconds, mode = self._settings.max_audio_seconds, parameters.channels
        must_separate = parameters.diarize and mode == "separate"
        min_speakers, max_speakers = parameters.speaker_bounds
        may_separate = parameters.diarize and mode == "auto" and min_speakers <= 2 <= max_speakers
        if not must_separate and count_channels(audio) != 2:
            return (decode_audio(audio, max_seconds=max_seconds, on_block=on_block),)
        decoded = decode_channels(audio, max_seconds=max_seconds, on_block=on_block)
        is_separate = must_separate or (may_separate and channels.is_call(decoded))
        if len(decoded) > 1 and is_separate:
            return channels.remove_crosstalk(decoded)
        return (channels.mix(decoded),)

    def _windows(
        self, waveform: Waveform, parameters: InferenceConfig, on_progress: OnProgress
    ) -> tuple[Window, ...]:
        may_stop = stopping_point("find_speech", on_progress)
        probabilities = self._speech.probabilities(waveform, may_stop)
        return speech_windows(waveform, probabilities, parameters.chunk_length_s, self._rules)

    def _transcribe_mono(
        self,
        waveform: Waveform,
        windows: Sequence[Window],
        parameters: InferenceConfig,
        on_progress: OnProgress,
        timer: StageTimer,
    ) -> _Result:
        """Diarize and transcribe, one after the other or concurrently, and merge."""

        def diarize() -> Diarization:
            if self._diarizer is None or not parameters.diarize or not windows:
                return Diarization()
            return self._diarizer.diarize(waveform, parameters, on_progress)

        with ThreadPoolExecutor(max_workers=1) as executor:
            if self._concurrent:
                diarized = executor.submit(diarize)
            else:
                diarized = Future()
                diarized.set_result(diarize())
            timer.end("diarize")
            transcription = self._transcriber.transcribe(windows, parameters, on_progress)
            timer.end("transcribe")
            diarization = diarized.result()
            timer.end("wait_for_diarization")
        segments = assign_speakers(chain(*transcription.windows), diarization.exclusive)
        return _Result(diarization, segments, transcription.stats).numbered()

    def _transcribe_channels(
        self,
        windows: Sequence[Sequence[Window]],
        parameters: InferenceConfig,
        on_progress: OnProgress,
        timer: StageTimer,
    ) -> _Result:
        """One speaker per channel; nothing is diarized. `windows` are those of each channel."""
        labelled = [
            (channels.speaker_of(number), window)
            for number, channel in enumerate(windows)
            for window in channel
        ]
        labelled.sort(key=lambda pair: pair[1].start)
        transcription = self._transcriber.transcribe(
            [window for _, window in labelled], parameters, on_progress
        )
        timer.end("transcribe")
        segments = [
            segment.with_speaker(speaker)
            for (speaker, _), found in zip(labelled, transcription.windows, strict=True)
            for segment in found
        ]
        segments.sort(key=attrgetter("start"))
        turns = tuple(
            sorted(
                Turn(max(run.start, window.start), min(run.end, window.end), speaker)
                for speaker, window in labelled
                for run in window.speech
            )
        )
        embeddings = self._channel_embeddings(windows, parameters)
        return _Result(Diarization(turns, turns, embeddings), tuple(segments), transcription.stats)

    def _channel_embeddings(
        self, windows: Sequence[Sequence[Window]], parameters: InferenceConfig
    ) -> dict[str, tuple[float, ...]]:
        """The embedding of each channel's speaker, if the request needs any."""
        embeddings: dict[str, tuple[float, ...]] = {}
        if self._diarizer and (parameters.known_speakers or parameters.return_embeddings):
            for number, channel in enumerate(windows):
                if (speech := extract_speech(channel)) is not None:
                    embeddings[channels.speaker_of(number)] = self._diarizer.embed(speech)
        return embeddings


def _main_language(segments: Sequence[Segment]) -> str | None:
    """The language of most of the speech."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for segment in segments:
        if segment.language is not None:
            seconds[segment.language] += max(segment.end - segment.start, 1e-3)
    return max(seconds, key=seconds.__getitem__, default=None)
