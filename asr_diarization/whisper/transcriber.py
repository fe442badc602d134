"""Whisper as a transcriber: speech windows in, segments with words out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter

import torch
from torch import Tensor

from asr_diarization.audio.decode import Waveform
from asr_diarization.audio.windows import Window
from asr_diarization.config import InferenceConfig
from asr_diarization.devices import halved, is_out_of_memory
from asr_diarization.errors import InvalidParameterError
from asr_diarization.protocols import OnProgress, Progress, ignore_progress
from asr_diarization.transcript import Segment, Transcription
from asr_diarization.whisper.alignment import FRAME_SECONDS, token_starts
from asr_diarization.whisper.caches import Cache
from asr_diarization.whisper.checkpoint import Checkpoint
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.decoding import BatchDecoder, Opening
from asr_diarization.whisper.draft_policy import DraftPolicy
from asr_diarization.whisper.fallback import (
    TEMPERATURES,
    better,
    is_failed,
    is_silence,
    without_loop,
)
from asr_diarization.whisper.features import frames_of
from asr_diarization.whisper.languages import LanguageAgreement, split_by_language
from asr_diarization.whisper.segments import build_segments, text_tokens
from asr_diarization.whisper.speculative import (
    AssistantDrafter,
    cache_maker,
    check_assistant,
    share_encoder,
)

MAX_PROMPT_TOKENS = 223
"""Half of Whisper's 448 positions, less one: the rest is for the answer."""
NOTHING = Decoded((), ())
MAX_CPU_BATCH = 4
"""A CPU gains nothing from more windows at once, and whoever waits sees progress."""
MIN_UNHEARD_SECONDS = 3.0
"""When so much of a window lies behind the last word, it is heard again from there ..."""
MIN_PROGRESS_SECONDS = 1.0
"""... if so much lies before it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was decoded in one window, and the language it was taken for."""

    decoded: Decoded
    language: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of all windows of one call, and what was learned from those already heard."""

    parameters: InferenceConfig
    languages: LanguageAgreement
    policy: DraftPolicy | None
    """None: nothing is guessed ahead."""


class WhisperTranscriber:
    """Whisper with a decoding loop of its own; loaded once, used by one thread at a time."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        assistant: Checkpoint | None = None,
        *,
        capture_steps: bool = False,
    ) -> None:
        """Take over loaded models.

        Args:
            checkpoint: the model.
            assistant: another one, to guess ahead for it.
            capture_steps: as the setting.

        Raises:
            ModelLoadError: the assistant does not fit the model.
        """
        if assistant is not None:
            check_assistant(checkpoint, assistant)
            assistant = share_encoder(checkpoint, assistant)
        self._model, self._assistant = checkpoint, assistant
        self.has_assistant = assistant is not None
        self._decoder = BatchDecoder(
            checkpoint.decoder, checkpoint.vocabulary, capture=capture_steps
        )

    def check(self, parameters: InferenceConfig) -> None:
        """Refuse what this checkpoint cannot do, before any work is done.

        Raises:
            InvalidParameterError: an unknown language, a translation by an English-only model, or a
                prompt that is no plain text.
        """
        vocabulary = self._model.vocabulary
        if parameters.language is not None:
            vocabulary.language_code(parameters.language)
        self._prompt(parameters)
        if parameters.task == "translate" and not vocabulary.is_multilingual:
            raise InvalidParameterError(
                f"task='translate' needs a multilingual model; {self._model.name} knows English "
                "only, use task='transcribe'"
            )

    def transcribe(
        self,
        windows: Sequence[Window],
        parameters: InferenceConfig,
        on_progress: OnProgress = ignore_progress,
    ) -> Transcription:
        """The segments of each window, in times of its recording.

        Windows may come from different recordings. What Whisper leaves unheard at the end of a
        window is heard again by itself. When memory runs out, the batch is halved and the work goes
        on; when not even one window at a time fits, whatever says so is raised.
        """
        results: list[tuple[Segment, ...]] = [() for _ in windows]
        waiting = deque(enumerate(windows))
        is_cpu = self._model.decoder.device.type == "cpu"
        size = min(parameters.batch_size, MAX_CPU_BATCH) if is_cpu else parameters.batch_size
        policy = DraftPolicy() if parameters.assisted and self._assistant else None
        request = Request(parameters, LanguageAgreement(), policy)
        while waiting:
            batch = [waiting.popleft() for _ in range(min(size, len(waiting)))]
            try:
                found, parts = self._transcribe_batch([w for _, w in batch], request)
            except (MemoryError, RuntimeError) as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                size = halved(len(batch))
                waiting.extendleft(reversed(batch))
                continue
            again: list[tuple[int, Window]] = []
            for (index, window), segments, own in zip(batch, found, parts, strict=True):
                results[index] += segments
                rest = _unheard(window, segments)
                again += [(index, part) for part in (own if len(own) > 1 else filter(None, [rest]))]
            waiting.extendleft(reversed(again))  # so that who watches reads on where it broke off
            heard = len(windows) - len({index for index, _ in waiting})
            newly = tuple(segment for segments in found for segment in segments)
            on_progress(Progress("transcribe", heard, len(windows), newly))
        stats = {} if policy is None else {"speculative": policy.stats()}
        in_order = (tuple(sorted(found, key=attrgetter("start"))) for found in results)
        return Transcription(tuple(in_order), stats)

    @torch.inference_mode()
    def _transcribe_batch(
        self, windows: Sequence[Window], request: Request
    ) -> tuple[list[tuple[Segment, ...]], list[tuple[Window, ...]]]:
        """Each window's segments; or its parts, where its language changes, to be heard apart."""
        waveforms = [window.samples() for window in windows]
        encoded = self._model.encode(waveforms)
        cache = self._model.decoder.new_cache(encoded)
        parts = self._split_by_language(windows, cache, request.parameters)
        policy = request.policy
        drafter = None if policy is None else self._drafter(waveforms, encoded, policy)
        heard = self._decode(windows, cache, request, drafter)
        task = request.parameters.task
        starts = self._token_starts(cache, heard, waveforms, task)
        segments = [
            self._segments(window, one, times, task) if len(own) == 1 else ()
            for window, one, times, own in zip(windows, heard, starts, parts, strict=True)
        ]
        return segments, parts

    def _segments(
        self, window: Window, heard: Heard, starts: Sequence[float], task: str
    ) -> tuple[Segment, ...]:
        written = "en" if task == "translate" else heard.language
        built = build_segments(window, heard.decoded, starts, self._model.vocabulary, written)
        return tuple(replace(segment, language=heard.language) for segment in built)

    def _split_by_language(
        self, windows: Sequence[Window], cache: Cache, parameters: InferenceConfig
    ) -> list[tuple[Window, ...]]:
        if parameters.language is not None or not self._model.vocabulary.is_multilingual:
            return [(window,) for window in windows]
        return [
            split_by_language(window, partial(self._listen, cache, row, window))
            for row, window in enumerate(windows)
        ]

    def _listen(
        self, cache: Cache, row: int, window: Window, start: float, end: float
    ) -> Mapping[str, float]:
        """The probabilities of the languages between two times of the recording."""
        first, last = (round(window.to_window(time) / FRAME_SECONDS) for time in (start, end))
        opening: Opening = self._decoder.open(cache.look_at(row, first, last))[0]
        return opening.language_probabilities

    def _drafter(
        self, waveforms: Sequence[Waveform], encoded: Sequence[Tensor], policy: DraftPolicy
    ) -> AssistantDrafter:
        assistant = self._assistant
        assert assistant is not None
        shared = encoded if assistant.encoder is self._model.encoder else None
        make_cache = cache_maker(assistant, shared, waveforms)
        return AssistantDrafter(assistant.decoder, make_cache, policy)

    def _decode(
        self,
        windows: Sequence[Window],
        cache: Cache,
        request: Request,
        drafter: AssistantDrafter | None,
    ) -> list[Heard]:
        """What each window holds; rows that fail are decoded again at higher temperatures."""
        vocabulary = self._model.vocabulary
        openings = self._decoder.open(cache)
        languages = self._languages(windows, openings, request)
        prompt, task = self._prompt(request.parameters), request.parameters.task
        prefixes = [vocabulary.prefix(code, task, prompt) for code in languages]
        decoded = self._decoder.decode(cache, prefixes, drafter=drafter)
        silent = [is_silence(d, o.no_speech) for d, o in zip(decoded, openings, strict=True)]
        for temperature in TEMPERATURES:
            failed = [
                row
                for row, one in enumerate(decoded)
                if not silent[row] and is_failed(one, vocabulary)
            ]
            if not failed:
                break
            retried = self._decoder.decode(
                cache.select(failed), [prefixes[row] for row in failed], temperature
            )
            for row, one in zip(failed, retried, strict=True):
                decoded[row] = one if not is_failed(one, vocabulary) else better(decoded[row], one)
        return [
            Heard(NOTHING if silence else without_loop(one), code)
            for one, silence, code in zip(decoded, silent, languages, strict=True)
        ]

    def _languages(
        self, windows: Sequence[Window], openings: Sequence[Opening], request: Request
    ) -> Sequence[str | None]:
        vocabulary, language = self._model.vocabulary, request.parameters.language
        if not vocabulary.is_multilingual:
            return ["en"] * len(openings)
        if language is not None:
            return [vocabulary.language_code(language)] * len(openings)
        return request.languages.agree(windows, [o.language_probabilities for o in openings])

    def _prompt(self, parameters: InferenceConfig) -> list[int]:
        if parameters.initial_prompt is None:
            return []
        return self._model.vocabulary.encode_prompt(parameters.initial_prompt, MAX_PROMPT_TOKENS)

    def _token_starts(
        self, cache: Cache, heard: Sequence[Heard], waveforms: Sequence[Waveform], task: str
    ) -> list[Sequence[float]]:
        """When each window's text tokens begin, in seconds from the window's beginning."""
        model, vocabulary = self._model, self._model.vocabulary
        prefixes = [
            [*vocabulary.prefix(one.language, task), vocabulary.no_timestamps] for one in heard
        ]
        texts = [text_tokens(one.decoded, vocabulary) for one in heard]
        if not any(texts):
            return [[] for _ in heard]
        frames = [frames_of(waveform) for waveform in waveforms]
        starts: list[Sequence[float]] = token_starts(
            model.decoder, cache, prefixes, texts, vocabulary.end, frames, model.alignment_heads
        )
        return starts


def _unheard(window: Window, segments: Sequence[Segment]) -> Window | None:
    """The rest of a window that Whisper stopped writing down early; None if it did not."""
    if not segments:
        return None  # it heard no speech at all
    rest = window.rest(segments[-1].end)
    if rest is None or rest.duration < MIN_UNHEARD_SECONDS:
        return None
    return rest if rest.duration <= window.duration - MIN_PROGRESS_SECONDS else None
