"""Real servers for the tests; each fixture starts its own on a free loopback port and ends it."""

pytest_plugins = ["tests.services.influxd", "tests.services.mosquitto", "tests.services.node", "tests.strict"]
