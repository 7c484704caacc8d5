"""A database to write to: as 1.x by its own /write, and as 2.x through a front that checks the token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from config.model import InfluxSink as Config
from tests.services.influx2_front import Influx2Front
from tests.services.influxd import Influxd
from tests.sinks.influx_store import TOKEN, Store, v2


@pytest.fixture(params=["v1", "v2"])
def store(request: pytest.FixtureRequest, influx: Influxd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    influx.create("plant")
    if request.param == "v1":
        yield Store(influx, Config(type="influxdb", api="v1", url=influx.url, database="plant"))
        return
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    with Influx2Front(influx.url, TOKEN) as front:
        yield Store(influx, v2(front.url), front)


@pytest.fixture
async def front(influx: Influxd, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Influx2Front]:
    influx.create("plant")
    monkeypatch.setenv("INFLUX_TOKEN", TOKEN)
    with Influx2Front(influx.url, TOKEN) as front:
        yield front
