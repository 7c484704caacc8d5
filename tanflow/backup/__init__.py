"""A data directory ↔ a consistent copy of it that says what it holds."""
