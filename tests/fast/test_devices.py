"""When memory runs out, batches are halved; a caller reads one sentence if that is not enough."""

import pytest

from asr_diarization.devices import fit_batch, is_out_of_memory
from asr_diarization.errors import CancelledError, OutOfMemoryError
from tests.support.fakes import ScriptedDiarizer, ScriptedTranscriber, pipeline, say, wav

CPU = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"


def torchs_error():
    """torch is not here; its error is known by its name."""
    return type("OutOfMemoryError", (RuntimeError,), {})("at the allocation")


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (torchs_error(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"), True),
        (RuntimeError(CPU), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("the sizes of tensors must match"), False),
        (ValueError("out of memory"), False),
        (CancelledError("nobody waits"), False),
        (OutOfMemoryError("said already"), False),
    ],
)
def test_what_is_a_lack_of_memory(error, is_memory):
    assert is_out_of_memory(error) is is_memory


def too_much(most, tried):
    def work(size):
        tried.append(size)
        if size > most:
            raise MemoryError
        return f"{size} fit"

    return work


def test_half_is_tried_until_it_fits():
    tried = []
    assert fit_batch(too_much(5, tried), 24) == "3 fit"
    assert tried == [24, 12, 6, 3]


def test_one_that_does_not_fit_is_the_end():
    tried = []
    with pytest.raises(MemoryError):
        fit_batch(too_much(0, tried), 4)
    assert tried == [4, 2, 1]


def test_other_errors_are_not_tried_again():
    tried = []

    def work(size):
        tried.append(size)
        raise RuntimeError("the sizes of tensors must match")

    with pytest.raises(RuntimeError, match="sizes"):
        fit_batch(work, 8)
    assert tried == [8]


@pytest.mark.parametrize("part", ["transcriber", "diarizer"])
@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(CPU), torchs_error()])
def test_whoever_runs_out_of_it_the_caller_is_told_in_one_sentence(part, error):
    transcriber, diarizer = ScriptedTranscriber([say("How are you?", 0, 2)]), ScriptedDiarizer()
    run = pipeline(transcriber, diarizer)
    broken = {"transcriber": transcriber, "diarizer": diarizer}[part]
    broken.error = error
    with pytest.raises(OutOfMemoryError, match=r"not enough memory .* larger machine$"):
        run(wav(4.0))
    broken.error = None
    assert run(wav(4.0)).segments
