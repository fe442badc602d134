"""Door 3: the commands `transcribe`, `models`, `serve`, `doctor` and `deploy`."""
