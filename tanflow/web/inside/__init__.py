"""The gateway itself over HTTP: health, metrics, dead letters, raw words."""
