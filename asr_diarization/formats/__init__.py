"""A transcript in every form callers ask for; only here are times rounded."""
