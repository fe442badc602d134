"""The core: a recording in, a transcript with speakers out."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asr_diarization.audio import channels
from asr_diarization.audio.decode import SAMPLE_RATE, Encoded, Waveform, check_audio
from asr_diarization.audio.evidence import add_turns, believed, missed_windows
from asr_diarization.audio.levels import audible
from asr_diarization.audio.recording import Recording, read_recording
from asr_diarization.audio.windows import (
    Window,
    WindowRules,
    find_speech,
    speech_windows,
)
from asr_diarization.config import InferenceConfig, ModelSettings
from asr_diarization.devices import is_out_of_memory
from asr_diarization.diarization.confidence import with_confidence
from asr_diarization.diarization.known_speakers import decode_sample, extract_speech, recognise
from asr_diarization.errors import InvalidParameterError, OutOfMemoryError
from asr_diarization.merging import cut_at_replies
from asr_diarization.protocols import (
    Diarizer,
    OnProgress,
    Progress,
    SpeechDetector,
    Transcriber,
    ignore_progress,
)
from asr_diarization.result import Result, StageTimer, main_language, merge, stopping_point
from asr_diarization.transcript import Diarization, Transcript, Transcription, Turn
from asr_diarization.warnings.answer import doubtful_text
from asr_diarization.warnings.request import ineffective_parameters

Probabilities: TypeAlias = NDArray[np.float32]
"""Of speech, in each step of 32 ms; shape (steps,)."""


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
        recording = self._decode(audio, parameters, on_progress)
        waveforms = recording.waveforms
        on_progress(Progress("decode", 1, 1, waveforms=waveforms))
        waveforms = tuple(audible(waveform) for waveform in waveforms)
        timer.end("decode")
        speech = [self._detect(waveform, on_progress) for waveform in waveforms]
        timer.end("find_speech")
        transcribe = self._transcribe_mono if len(waveforms) == 1 else self._transcribe_channels
        result = transcribe(waveforms, speech, parameters, on_progress, timer)
        matches = recognise(result.diarization.embeddings, known)
        result = result.renamed({speaker: name for speaker, (name, _) in matches.items()})
        found = result.diarization
        duration = len(waveforms[0]) / SAMPLE_RATE
        return Transcript(
            language=main_language(result.segments),
            duration=duration,
            segments=with_confidence(
                result.segments, found.turns, separate_channels=len(waveforms) > 1
            ),
            turns=found.turns,
            warnings=(
                *recording.warnings,
                *ineffective_parameters(
                    parameters, found, len(waveforms), has_diarizer=self._diarizer is not None
                ),
                *doubtful_text(result.segments, parameters),
            ),
            stats={
                "audio_seconds": round(duration, 3),
                "speech_seconds": round(sum(w.duration for w in result.windows), 3),
                "windows": len(result.windows),
                "channels": len(waveforms),
                "seconds": timer.seconds,
                **result.stats,
            },
            similarities=dict(matches.values()),
            embeddings=found.embeddings if parameters.return_embeddings else {},
        )

    def check(self, file: BinaryIO, parameters: InferenceConfig) -> None:
        """Raise errors that need no waiting for the models.

        Raises:
            InvalidRequestError: a parameter cannot be used, or the beginning of `file` is no audio.
        """
        self._check(parameters)
        check_audio(file, parameters.audio_track)

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
            waveform = decode_sample(known)
            probabilities = self._detect(waveform, on_progress)
            speech = extract_speech(self._windows(waveform, probabilities, parameters))
            if speech is None:
                raise InvalidParameterError(
                    f"known_speakers: the audio of {known.name!r} has less than a second of speech"
                )
            embeddings[known.name] = self._diarizer.embed(speech)
        return embeddings

    def _decode(
        self, audio: Encoded, parameters: InferenceConfig, on_progress: OnProgress
    ) -> Recording:
        may_stop = stopping_point("decode", on_progress)
        max_seconds = self._settings.max_audio_seconds
        detect = partial(self._speech.probabilities, on_block=may_stop)
        return read_recording(audio, parameters, max_seconds, detect, may_stop)

    def _detect(self, waveform: Waveform, on_progress: OnProgress) -> Probabilities:
        return self._speech.probabilities(waveform, stopping_point("find_speech", on_progress))

    def _windows(
        self, waveform: Waveform, probabilities: Probabilities, parameters: InferenceConfig
    ) -> tuple[Window, ...]:
        return speech_windows(waveform, probabilities, parameters.chunk_length_s, self._rules)

    def _transcribe_mono(
        self,
        waveforms: Sequence[Waveform],
        speech: Sequence[Probabilities],
        parameters: InferenceConfig,
        on_progress: OnProgress,
        timer: StageTimer,
    ) -> Result:
        """Diarize and transcribe, one after the other or concurrently, and merge.

        What only the diarization takes for speech is part of the windows, or, if these are cut
        before it ends, is transcribed after them.
        """
        (waveform,), (probabilities,) = waveforms, speech

        def diarize() -> Diarization | None:
            if self._diarizer is None or not parameters.diarize or not waveform.any():
                return None
            return self._diarizer.diarize(waveform, parameters, on_progress)

        def transcribe(windows: Sequence[Window]) -> Transcription:
            return self._transcriber.transcribe(windows, parameters, on_progress)

        with ThreadPoolExecutor(max_workers=1) as executor:
            if self._concurrent:
                diarized = executor.submit(diarize)
                heard = probabilities
            else:
                diarized = Future()
                diarized.set_result(diarize())
                heard = add_turns(probabilities, _turns(diarized.result()), self._rules)
            timer.end("diarize")
            windows = self._windows(waveform, heard, parameters)
            transcription = transcribe(windows)
            timer.end("transcribe")
            diarization = diarized.result()
            timer.end("wait_for_diarization")
        segments = list(chain(*transcription.windows))
        if missed := missed_windows(
            waveform, heard, _turns(diarization), parameters.chunk_length_s, self._rules
        ):
            segments += chain(*transcribe(missed).windows)
            segments.sort(key=attrgetter("start"))
            timer.end("transcribe_missed_turns")
        detected = find_speech(probabilities, len(waveform) / SAMPLE_RATE, self._rules)
        windows = (*windows, *missed)
        return merge(diarization, segments, detected, windows, transcription.stats)

    def _transcribe_channels(
        self,
        waveforms: Sequence[Waveform],
        speech: Sequence[Probabilities],
        parameters: InferenceConfig,
        on_progress: OnProgress,
        timer: StageTimer,
    ) -> Result:
        """One speaker per channel; nothing is diarized."""
        windows = [
            self._windows(waveform, probabilities, parameters)
            for waveform, probabilities in zip(waveforms, speech, strict=True)
        ]
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
        segments = cut_at_replies(
            segment.with_speaker(speaker)
            for (speaker, _), found in zip(labelled, transcription.windows, strict=True)
            for segment in believed(found, (), None)
        )
        turns = tuple(
            sorted(
                Turn(max(run.start, window.start), min(run.end, window.end), speaker)
                for speaker, window in labelled
                for run in window.speech
            )
        )
        embeddings = self._channel_embeddings(windows, parameters)
        diarization = Diarization(turns, turns, embeddings)
        return Result(diarization, segments, tuple(chain(*windows)), transcription.stats)

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


def _turns(diarization: Diarization | None) -> tuple[Turn, ...]:
    """Its turns; none if nothing was diarized."""
    return () if diarization is None else diarization.turns
