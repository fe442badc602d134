"""What FFmpeg may try on the bytes of strangers: nothing that opens a second file."""

from __future__ import annotations

import av

FORMATS = (
    "3gp", "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "eac3", "flac", "flv",
    "matroska", "mov", "mp3", "mpeg", "mpegts", "nistsphere", "ogg", "tta", "voc", "w64", "wav",
    "wv",
)  # fmt: skip
"""FFmpeg's demuxers for what people send. None of them opens a second file by design; playlists
and scripts (hls, concat, dash, sdp, image2) are absent on purpose."""

CODECS = (
    "aac", "aac_latm", "ac3", "adpcm_g722", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms",
    "adpcm_swf", "adpcm_yamaha", "alac", "amrnb", "amrwb", "ape", "dca", "eac3", "flac", "g722",
    "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms", "ilbc", "libopencore_amrnb",
    "libopencore_amrwb", "libopus", "mp1", "mp1float", "mp2", "mp2float", "mp3", "mp3float",
    "nellymoser", "opus", "qcelp", "qdm2", "shorten", "speex", "truespeech", "tta", "vorbis",
    "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice",
    *sorted(name for name in av.codecs_available if name.startswith("pcm_")),
)  # fmt: skip
"""Decoders that may run. Video decoders may not, not even to look at a cover picture."""
