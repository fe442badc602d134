"""Models that need no account: they are built from pinned wheels of PyPI."""
