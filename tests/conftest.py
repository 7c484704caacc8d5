"""Real servers for the tests; each fixture starts its own on a free loopback port and ends it."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.services.alertmanager", "tests.services.influxd", "tests.services.mosquitto", "tests.services.nats",
    "tests.services.node", "tests.services.opcua_history",
    "tests.services.recorder", "tests.services.smtp", "tests.strict",
]  # fmt: skip

# Tests side by side are told they had a terminal of 80 columns; what commands print is judged as it goes into a file.
os.environ.pop("COLUMNS", None)

# How fast examples come says something about the machine, not about the code.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")
