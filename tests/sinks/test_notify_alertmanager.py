"""The real Alertmanager: firing, told again with a newer value, over; absent; and answers that are none of its own."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

from config.errors import Rejected, Unavailable
from config.notify import AlertmanagerChannel as Config
from pipeline.clock import SECOND_NS, Clock
from sinks.notify.alertmanager_channel import AlertmanagerChannel
from sinks.notify.message import Message
from tests.pipeline.journal import open_log
from tests.services.alertmanager import Alertmanager
from tests.services.ports import free_port
from tests.sinks.notify_parts import episode, message, put, sender, words
from tests.waiting import until

LABELS = {"alertname": "high", "site": "plant", "area": "hall", "asset": "furnace", "severity": "warning"}


def channel(url: str, **known: object) -> AlertmanagerChannel:
    return AlertmanagerChannel(Config.model_validate({"type": "alertmanager", "url": url, **known}), words())


async def test_it_hears_that_an_alert_fires_and_that_it_is_over(alertmanager: Alertmanager, tmp_path: Path) -> None:
    fired_ns = time.time_ns() - 90 * SECOND_NS
    one = episode(fired_ns=fired_ns, counted_ns=fired_ns)
    log = await open_log(tmp_path, Clock())
    async with channel(alertmanager.url) as there:
        going = sender(log, there, firing=[one])
        await put(log, "firing", one)
        begun_s = time.time()
        assert await going.step()
        (held,) = alertmanager.alerts()
        assert held["labels"] == LABELS
        assert datetime.fromisoformat(held["startsAt"]).timestamp() == pytest.approx(fired_ns / SECOND_NS, abs=0.001)
        assert begun_s + 239 <= datetime.fromisoformat(held["endsAt"]).timestamp() <= time.time() + 241
        assert held["generatorURL"] == "http://gateway:8800/#/alerts/furnace.high@7"
        said = held["annotations"]
        assert (said["id"], said["value"], said["limit"], said["unit"]) == ("furnace.high@7", "412.4", "350", "kW")
        assert "Costs per hour: 62.4 kWh, 31.2 kg CO₂e, 49.9 CNY" in said["description"]
        going.firing = lambda: [one.valued(500.0)]
        assert await going.step()  # the refresh
        assert [a["annotations"]["value"] for a in alertmanager.alerts()] == ["500"]
        await put(log, "resolved", one.ended(time.time_ns()))
        assert await going.step()
        await until(lambda: not alertmanager.alerts(), what="the alert is over")
    assert (going.counters.delivered, going.counters.rejected) == (2, 0)
    await log.close()


async def test_many_at_once_and_the_same_twice_are_one_each(alertmanager: Alertmanager) -> None:
    now = time.time_ns()
    many = [episode(f"a{n}", fired_ns=now - SECOND_NS) for n in range(500)]
    async with channel(alertmanager.url) as there:
        await there.send(message(*many))
        await there.send(message(*many))
    assert len(alertmanager.alerts()) == 500


async def test_an_absent_one_is_unavailable_and_back_it_hears_everything(
    alertmanager: Alertmanager, tmp_path: Path
) -> None:
    one = episode(fired_ns=time.time_ns())
    alertmanager.stop()
    async with channel(alertmanager.url, timeout_s=30) as there:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await there.send(message(one))
        alertmanager.start()
        await there.send(message(one))
    assert len(alertmanager.alerts()) == 1


async def test_what_it_refuses_and_what_is_no_alertmanager(alertmanager: Alertmanager) -> None:
    """Nobody listens there: unavailable. A wrong path: its 404 may be mended. A body it cannot read: for good."""
    async with channel(f"http://127.0.0.1:{free_port()}") as nobody:
        with pytest.raises(Unavailable):
            await nobody.send(message(episode()))
    async with channel(f"{alertmanager.url}/elsewhere") as wrong:
        with pytest.raises(Unavailable, match="404"):
            await wrong.send(message(episode()))
    over = episode(fired_ns=2 * SECOND_NS, ended_ns=SECOND_NS)  # it ends before it begins
    async with channel(alertmanager.url) as there:
        with pytest.raises(Rejected, match="400"):
            await there.send(Message("x", message(over, what="resolved").tellings))
