"""Log → outside world: databases and the embedded history."""
