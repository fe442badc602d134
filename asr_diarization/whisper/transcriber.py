"""The transcriber: windows of speech in, segments with words out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from operator import attrgetter

import torch
from torch import Tensor

from asr_diarization.audio.decode import Waveform
from asr_diarization.audio.windows import Window
from asr_diarization.config import MAX_CPU_BATCH_SIZE, InferenceConfig
from asr_diarization.devices import halve_batch_size, is_out_of_memory
from asr_diarization.errors import InvalidParameterError
from asr_diarization.protocols import OnProgress, Progress, ignore_progress
from asr_diarization.transcript import Segment, Transcription
from asr_diarization.whisper.alignment import FRAME_SECONDS, token_starts
from asr_diarization.whisper.caches import Cache
from asr_diarization.whisper.checkpoint import Checkpoint
from asr_diarization.whisper.decoded import Decoded
from asr_diarization.whisper.decoding import BatchDecoder, Detection
from asr_diarization.whisper.draft_policy import DraftPolicy
from asr_diarization.whisper.fallback import (
    is_silence,
    log_probability,
    with_fallback,
    without_loop,
)
from asr_diarization.whisper.features import frames_of
from asr_diarization.whisper.key_terms import correct
from asr_diarization.whisper.languages import LanguageAgreement, restrict, split_by_language
from asr_diarization.whisper.prompts import prompt_tokens
from asr_diarization.whisper.repetition import join_heard_again, without_repetition
from asr_diarization.whisper.segments import build_segments, text_tokens
from asr_diarization.whisper.speculative import (
    AssistantDrafter,
    cache_factory,
    check_assistant,
    share_encoder,
)

NO_TOKENS = Decoded((), ())
MIN_REST_SECONDS = 3.0
"""If at least this much of a window follows its last word, it is decoded again from there ..."""
MIN_PROGRESS_SECONDS = 1.0
"""... provided that at least this much precedes it."""


@dataclass(frozen=True, slots=True)
class _Result:
    """The tokens of one window, and its language."""

    decoded: Decoded
    language: str | None


@dataclass(frozen=True, slots=True)
class _Job:
    """One call of `transcribe`: its parameters, and what its windows have shown so far."""

    parameters: InferenceConfig
    languages: LanguageAgreement
    policy: DraftPolicy | None
    """None: no speculative decoding."""


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
            assistant: another one, for speculative decoding.
            capture_steps: the setting of this name.

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
        """Refuse parameters that this checkpoint does not support, before any work is done.

        Raises:
            InvalidParameterError: a language is unknown, the model is English-only and cannot
                translate, or the prompt is no plain text.
        """
        vocabulary = self._model.vocabulary
        for language in filter(None, (parameters.language, *parameters.languages)):
            vocabulary.language_code(language)
        prompt_tokens(vocabulary, parameters, with_terms=True)
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

        Windows may come from different recordings. If Whisper stops before the end of a window, the
        rest is decoded again by itself; what was written already is not written twice. When memory
        runs out, the batch size is halved; if not even one window fits, the allocator's error is
        raised.
        """
        results: list[tuple[Segment, ...]] = [() for _ in windows]
        queue = deque(enumerate(windows))
        is_cpu = self._model.decoder.device.type == "cpu"
        size = min(parameters.batch_size, MAX_CPU_BATCH_SIZE) if is_cpu else parameters.batch_size
        policy = DraftPolicy() if parameters.assisted and self._assistant else None
        job = _Job(parameters, LanguageAgreement(), policy)
        while queue:
            batch = [queue.popleft() for _ in range(min(size, len(queue)))]
            try:
                found, parts = self._transcribe_batch([w for _, w in batch], job)
            except (MemoryError, RuntimeError) as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                size = halve_batch_size(len(batch))
                queue.extendleft(reversed(batch))
                continue
            again: list[tuple[int, Window]] = []
            for (index, window), segments, own_parts in zip(batch, found, parts, strict=True):
                results[index] = join_heard_again(results[index], segments)
                rest = _rest_to_decode(window, segments)
                next_windows = own_parts if len(own_parts) > 1 else filter(None, [rest])
                again += [(index, part) for part in next_windows]
            queue.extendleft(reversed(again))  # progress then follows the order of the recording
            done = len(windows) - len({index for index, _ in queue})
            on_progress(Progress("transcribe", done, len(windows), tuple(chain(*found))))
        stats = {} if policy is None else {"speculative": policy.stats()}
        in_order = tuple(tuple(sorted(one, key=attrgetter("start"))) for one in results)
        return Transcription(in_order, stats)

    @torch.inference_mode()
    def _transcribe_batch(
        self, windows: Sequence[Window], job: _Job
    ) -> tuple[list[tuple[Segment, ...]], list[tuple[Window, ...]]]:
        """Each window's segments, and its parts by language.

        A window with several parts has no segments: its parts must be transcribed by themselves.
        """
        waveforms = [window.samples() for window in windows]
        encoded = self._model.encode(waveforms)
        cache = self._model.decoder.new_cache(encoded)
        parts = self._split_by_language(windows, cache, job.parameters)
        policy = job.policy
        drafter = None if policy is None else self._drafter(waveforms, encoded, policy)
        results = self._decode(windows, cache, job, drafter)
        task = job.parameters.task
        starts = self._token_starts(cache, results, waveforms, task)
        segments = [
            self._segments(window, result, times, task) if len(own_parts) == 1 else ()
            for window, result, times, own_parts in zip(
                windows, results, starts, parts, strict=True
            )
        ]
        return segments, parts

    def _segments(
        self, window: Window, result: _Result, starts: Sequence[float], task: str
    ) -> tuple[Segment, ...]:
        text_language = "en" if task == "translate" else result.language
        vocabulary = self._model.vocabulary
        built = build_segments(window, result.decoded, starts, vocabulary, text_language)
        return tuple(
            replace(segment, language=result.language)
            for segment in without_repetition(tuple(built))
        )

    def _split_by_language(
        self, windows: Sequence[Window], cache: Cache, parameters: InferenceConfig
    ) -> list[tuple[Window, ...]]:
        if parameters.language is not None or not self._model.vocabulary.is_multilingual:
            return [(window,) for window in windows]
        allowed = self._allowed_languages(parameters)

        def split(row: int, window: Window) -> tuple[Window, ...]:
            detect = partial(self._language_probabilities, cache, row, window)
            return split_by_language(window, lambda *times: restrict(detect(*times), allowed))

        return [split(row, window) for row, window in enumerate(windows)]

    def _allowed_languages(self, parameters: InferenceConfig) -> frozenset[str]:
        """Those between which a language is detected; empty for all."""
        return frozenset(map(self._model.vocabulary.language_code, parameters.languages))

    def _language_probabilities(
        self, cache: Cache, row: int, window: Window, start: float, end: float
    ) -> Mapping[str, float]:
        """The probabilities of the languages between two times of the recording."""
        first, last = (round(window.to_window(time) / FRAME_SECONDS) for time in (start, end))
        detection: Detection = self._decoder.detect(cache.select_frames(row, first, last))[0]
        return detection.language_probabilities

    def _drafter(
        self, waveforms: Sequence[Waveform], encoded: Sequence[Tensor], policy: DraftPolicy
    ) -> AssistantDrafter:
        assistant = self._assistant
        assert assistant is not None
        shared = encoded if assistant.encoder is self._model.encoder else None
        make_cache = cache_factory(assistant, shared, waveforms)
        return AssistantDrafter(assistant.decoder, make_cache, policy)

    def _decode(
        self,
        windows: Sequence[Window],
        cache: Cache,
        job: _Job,
        drafter: AssistantDrafter | None,
    ) -> list[_Result]:
        """Tokens and language of each window, silent windows without tokens."""
        vocabulary = self._model.vocabulary
        detections = self._decoder.detect(cache)
        languages = self._languages(windows, detections, cache, job)
        prompt, task = prompt_tokens(vocabulary, job.parameters), job.parameters.task
        prefixes = [vocabulary.prefix(code, task, prompt) for code in languages]

        def decode_again(rows: Sequence[int], temperature: float) -> list[Decoded]:
            of_rows = [prefixes[row] for row in rows]
            return self._decoder.decode(cache.select(rows), of_rows, temperature)

        greedy = self._decoder.decode(cache, prefixes, drafter=drafter)
        silent = [
            is_silence(one, detection.no_speech_probability)
            for one, detection in zip(greedy, detections, strict=True)
        ]
        decoded = with_fallback(greedy, silent, vocabulary, decode_again)
        if job.parameters.keyterms:
            prompt = prompt_tokens(vocabulary, job.parameters, with_terms=True)
            with_terms = [vocabulary.prefix(code, task, prompt) for code in languages]
            prompted = self._decoder.decode(cache, with_terms)
            decoded = [
                correct(one, other, job.parameters.keyterms, vocabulary)
                for one, other in zip(decoded, prompted, strict=True)
            ]
        return [
            _Result(NO_TOKENS if is_silent else without_loop(one), code)
            for one, is_silent, code in zip(decoded, silent, languages, strict=True)
        ]

    def _languages(
        self,
        windows: Sequence[Window],
        detections: Sequence[Detection],
        cache: Cache,
        job: _Job,
    ) -> Sequence[str | None]:
        vocabulary, language = self._model.vocabulary, job.parameters.language
        if not vocabulary.is_multilingual:
            return ["en"] * len(detections)
        if language is not None:
            return [vocabulary.language_code(language)] * len(detections)

        def score(codes: Sequence[str]) -> list[float]:
            prefixes = [vocabulary.prefix(code, "transcribe") for code in codes]
            decoded = self._decoder.decode(cache, prefixes)
            return [log_probability(one, vocabulary) for one in decoded]

        allowed = self._allowed_languages(job.parameters)
        probabilities = [restrict(d.language_probabilities, allowed) for d in detections]
        found = job.languages.agree(windows, probabilities)
        return job.languages.settle(windows, found, score)

    def _token_starts(
        self, cache: Cache, results: Sequence[_Result], waveforms: Sequence[Waveform], task: str
    ) -> list[Sequence[float]]:
        """When each window's text tokens begin, in seconds from the window's beginning."""
        model, vocabulary = self._model, self._model.vocabulary
        prefixes = [
            [*vocabulary.prefix(one.language, task), vocabulary.no_timestamps] for one in results
        ]
        texts = [text_tokens(one.decoded, vocabulary) for one in results]
        if not any(texts):
            return [[] for _ in results]
        frames = [frames_of(waveform) for waveform in waveforms]
        starts: list[Sequence[float]] = token_starts(
            model.decoder, cache, prefixes, texts, vocabulary.end, frames, model.alignment_heads
        )
        return starts


def _rest_to_decode(window: Window, segments: Sequence[Segment]) -> Window | None:
    """The rest of a window after its last word; None if it is short, or if there are no words."""
    if not segments:
        return None
    rest = window.rest(segments[-1].end)
    if rest is None or rest.duration < MIN_REST_SECONDS:
        return None
    return rest if rest.duration <= window.duration - MIN_PROGRESS_SECONDS else None
