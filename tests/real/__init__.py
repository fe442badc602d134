"""The local models on real recordings: offline, minutes."""
