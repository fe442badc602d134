"""Who said what, when: Whisper for the words, pyannote for the speakers."""

__version__ = "0.1.0"
