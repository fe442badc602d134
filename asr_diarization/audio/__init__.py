"""Bytes in, waveforms and speech windows out."""
