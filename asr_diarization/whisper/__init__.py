"""Whisper: a checkpoint, the batched decoder, speculation, and words with their times."""
