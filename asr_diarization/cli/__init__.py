"""Door 3: `asr-diarization transcribe`, `models`, `serve`, `doctor` and `deploy`."""
