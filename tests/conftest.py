"""Real servers for the tests; each fixture starts its own on a free loopback port and ends it."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from config import hidden

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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="do each fault as often as docs/RELIABILITY.md tells")


@pytest.fixture
def full(pytestconfig: pytest.Config) -> bool:
    """Whether faults are done in full; otherwise a few of each."""
    return bool(pytestconfig.getoption("--full"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a file stay together where they run side by side, and all those of the page: one browser."""
    for item in items:
        group = "page" if item.path.parent.name == "page" else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def left_as_it_was() -> Iterator[None]:
    """Leave the program's loggers, umask and known secrets as they were: a command run in a test changes them."""
    before = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict if name[:7] == "tanflow"}
    mask = os.umask(0)
    os.umask(mask)
    secrets = set(hidden._known)
    yield
    os.umask(mask)
    if hidden._known != secrets:
        hidden._known.intersection_update(secrets)
        hidden._to_hide.cache_clear()
    for name in logging.root.manager.loggerDict:
        if name.startswith("tanflow"):
            logging.getLogger(name).setLevel(before.get(name, logging.NOTSET))
