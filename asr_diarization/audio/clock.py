"""The times that a container gives its frames -> the gaps between them.

Time 0 is where a player starts: at the first picture of a video, else at the first sample. A gap of
more than `GAP_SECONDS`, where nothing was recorded or nothing can be decoded, becomes silence.
Times that go back are ignored; frames without a time follow the one before. Broadcast streams
(MPEG-TS and MPEG-PS) may be joined from pieces with clocks of their own: a jump of more than
`MAX_JUMP_SECONDS` is a new clock there, not a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

GAP_SECONDS = 0.1
"""Shorter gaps are rounding: MP3 and Vorbis are off by 0.04 s at joints and long blocks."""

MAX_JUMP_SECONDS = 12.0
"""FFmpeg's own programs take a jump of more than 10 s in such a stream for a new clock."""


class Clock:
    """Gaps between frames, by the times that the container gives them."""

    def __init__(self, zero: float | None = None, *, is_joinable: bool = False) -> None:
        """`zero` is the time at which a player starts; None for the first frame's."""
        self._zero, self._is_joinable = zero, is_joinable
        self._rate: int | None = None
        self._end = zero
        """Of all frames so far; None if times start anew."""

    def before(self, frame: AudioFrame) -> float:
        """Seconds between the end of all frames so far and this one; 0.0 for rounding."""
        # Times start anew with every link of a chained Ogg, which brings its tags. Times of raw AAC
        # and MP3 assume that all of it has the rate of the first frame.
        is_first = self._rate is None
        self._rate = self._rate or frame.sample_rate
        if (frame.metadata and not is_first) or frame.sample_rate != self._rate:
            self._end = None
            return 0.0
        start: float | None = frame.time
        expected = start if self._end is None else self._end
        if expected is None:
            return 0.0
        ahead = 0.0 if start is None else start - expected
        if self._is_joinable and abs(ahead) > MAX_JUMP_SECONDS:
            expected, ahead = expected + ahead, 0.0
        gap = ahead if ahead > GAP_SECONDS else 0.0
        self._end = expected + gap + frame.samples / frame.sample_rate
        return gap
