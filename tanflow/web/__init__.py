"""HTTP API and local page."""
