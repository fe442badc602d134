import struct
from pathlib import Path

import numpy as np
import pytest

from asr_diarization.errors import ModelLoadError
from asr_diarization.local_models.ctranslate2 import read_model_file

ARRAYS = {
    "encoder/conv1/weight": np.arange(6, dtype=np.float16).reshape(1, 2, 3),
    "encoder/num_heads": np.array(8, dtype=np.int16),
    "decoder/scale": np.array([-1.5], dtype=np.float32),
    "decoder/weight": np.array([[-128, 127]], dtype=np.int8),
    "decoder/empty": np.zeros((0, 4), dtype=np.int32),
}
NUMBERS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def text(value):
    data = value.encode() + b"\0"
    return struct.pack("<H", len(data)) + data


def model_file(version=6):
    parts = [struct.pack("<I", version), text("WhisperSpec"), struct.pack("<II", 3, len(ARRAYS))]
    for name, array in ARRAYS.items():
        parts.append(text(name))
        parts.append(struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape))
        parts.append(struct.pack("<BI", NUMBERS[array.dtype.name], array.nbytes) + array.tobytes())
    parts.append(struct.pack("<I", 1) + text("decoder/projection") + text("decoder/weight"))
    return b"".join(parts)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.bin"


def test_reads_every_array_by_name_type_and_shape(path: Path) -> None:
    path.write_bytes(model_file())
    model = read_model_file(path)
    assert model.specification == "WhisperSpec"
    assert model.aliases == {"decoder/projection": "decoder/weight"}
    assert list(model.arrays) == list(ARRAYS)
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(model.arrays[name], expected, strict=True)


def test_refuses_a_file_cut_short_anywhere(path: Path) -> None:
    whole = model_file()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelLoadError, match=r"model\.bin is not a complete CTranslate2 model"):
            read_model_file(path)


def test_refuses_what_continues_after_its_end(path: Path) -> None:
    path.write_bytes(model_file() + b"??")
    with pytest.raises(ModelLoadError, match="has 2 bytes after its end"):
        read_model_file(path)


def test_refuses_another_version(path: Path) -> None:
    path.write_bytes(model_file(version=5))
    with pytest.raises(ModelLoadError, match="version 5, expected 6"):
        read_model_file(path)


def test_refuses_a_shape_that_does_not_fit_its_bytes(path: Path) -> None:
    shape = struct.pack("<B3I", 3, 1, 2, 3)
    path.write_bytes(model_file().replace(shape, struct.pack("<B3I", 3, 1, 2, 4)))
    with pytest.raises(ModelLoadError, match="reshape"):
        read_model_file(path)


def test_refuses_an_unknown_type(path: Path) -> None:
    before = text("decoder/scale") + struct.pack("<BI", 1, 1)
    path.write_bytes(model_file().replace(before + b"\0", before + b"\x09"))
    with pytest.raises(ModelLoadError, match="not a complete CTranslate2 model"):
        read_model_file(path)
