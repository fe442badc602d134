"""Models that need no account, built from pinned wheels."""
