"""Facts about models that need no weights: location, memory, compatibility."""
