"""What is said of things that are wrong for a week, on a clock that leaps; nobody's words are lines of their own."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import Unavailable
from pipeline.batch import Batch
from pipeline.counters import Counters
from pipeline.deliver import Delivery
from pipeline.log.log import Log
from pipeline.log.writer import Entry
from pipeline.ports import Refusal
from pipeline.supervise import supervise
from tanflow.log_lines import Journal, Json, Limit, Lines, Text
from tests.pipeline.journal import open_log
from tests.pipeline.tables import readings

WEEK_S = 7 * 86_400.0


class Leaping(asyncio.SelectorEventLoop):
    """An event loop whose time leaps to the next timer whenever nothing else is to be done."""

    def __init__(self) -> None:
        self.leapt = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.leapt


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: Leaping) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0 if timeout is not None else 1.0)
        if not found and timeout:
            self._loop.leapt += timeout
        return found


def lines(formatter: logging.Formatter | None = None, limit: Limit | None = None) -> tuple[Lines, io.StringIO]:
    into = io.StringIO()
    handler = Lines(into, limit)
    handler.setFormatter(formatter or Text())
    return handler, into


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep a week of warnings out of the test's own report."""
    root = logging.getLogger("tanflow")
    root.propagate = False
    yield
    root.propagate = True


class Sink:
    """A database that is away, or goes and comes."""

    def __init__(self, away: Callable[[], bool]) -> None:
        self.away = away

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def probe(self) -> None: ...

    async def write(self, batch: Batch) -> Sequence[Refusal]:
        if self.away():
            raise Unavailable("no answer from http://10.0.0.1:8086 (timed out); check that the database runs")
        return ()


def a_week(work: Callable[[Leaping], Any], loop: Leaping | None = None) -> list[str]:
    """Return the lines of a week of some work."""
    loop = loop or Leaping()
    handler, into = lines(limit=Limit(loop.time))
    root = logging.getLogger("tanflow")
    root.addHandler(handler)

    async def main() -> None:
        task = asyncio.create_task(work(loop))
        await asyncio.wait([task], timeout=WEEK_S)
        task.cancel()

    try:
        loop.run_until_complete(main())
        assert loop.leapt >= WEEK_S
    finally:
        root.removeHandler(handler)
    return into.getvalue().splitlines()


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("how", "most"),
    [("dead", 2), ("other words each time", 70), ("refused after a minute each time", 70), ("a defect", 70)],
)
def test_a_connection_that_is_wrong_for_a_week_costs_a_handful_of_lines(how: str, most: int) -> None:
    tries = [0]

    async def work(loop: Leaping) -> None:
        async def collector() -> None:
            tries[0] += 1
            if how == "refused after a minute each time":
                await asyncio.sleep(60)
            if how == "a defect":
                await asyncio.sleep(600)
                raise ValueError(f"wrong {tries[0]}")
            words = f"{tries[0]} " if how == "other words each time" else ""
            raise Unavailable(f"{words}mqtt://10.0.0.2:1883 refuses the connection: Not authorized")

        await supervise("collector.broker", collector, Counters(), 60.0)

    said = [line for line in a_week(work) if not line.startswith("    |")]
    assert tries[0] > 900
    assert 1 <= len(said) <= most


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("name", "most"), [("away", 2), ("flapping", 140)])
def test_a_database_that_is_away_for_a_week_costs_a_handful_of_lines(tmp_path: Path, name: str, most: int) -> None:
    offers, loop = [0], Leaping()

    async def prepared() -> Log:
        log = await open_log(tmp_path)
        await log.append(Entry([readings([1.0], [1.0])]))
        return log

    log = loop.run_until_complete(prepared())

    async def work(loop: Leaping) -> None:
        def away() -> bool:
            offers[0] += 1
            return name == "away" or int(loop.leapt / 300) % 2 == 0

        going = Delivery("plant-db", log, Sink(away), log.clock, Counters(), 1_000, 60.0)
        while True:
            if not await going.step():
                going.position -= 1
                await asyncio.sleep(60)

    said = a_week(work, loop)
    loop.run_until_complete(log.close())
    assert offers[0] > 5_000
    assert 1 <= len(said) <= most
    if name == "flapping":
        assert any("more like this were left out" in line for line in said)


@pytest.mark.usefixtures("quiet")
def test_a_thousand_devices_that_come_and_go_for_a_week_stay_bounded() -> None:
    """As collectors tell it: a line when a unit falls silent, one when it answers."""
    log = logging.getLogger("tanflow.collector")

    async def work(loop: Leaping) -> None:
        while True:
            for unit in range(0, 1_000, 10):
                log.warning("%s on %s: %s", f"meter-{unit}.m", "floor", "no answer within 1 s")
            await asyncio.sleep(1_800)
            for unit in range(0, 1_000, 10):
                log.info("%s on %s answers%s", f"meter-{unit}.m", "floor", "")
            await asyncio.sleep(1_800)

    told = a_week(work)
    assert 200 <= len(told) <= 15_000  # of 33,600
    assert sum("meter-0.m " in line for line in told) <= 140


def test_what_all_of_a_kind_are_too_many_of_is_told_with_the_next_line() -> None:
    """A cable with 300 devices: a minute's lines end at 200, and nobody's line is left out untold."""
    now_s = 0.0
    limit = Limit(lambda: now_s)
    told = [limit.note(record("%s on %s", f"meter-{unit}", "floor")) for unit in range(300)]
    assert told == [""] * 200 + [None] * 100
    now_s = 60.0 * 300
    assert limit.note(record("%s on %s", "meter-299", "floor")) == " (1 more like this were left out)"


def record(message: str, *arguments: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("tanflow.mqtt", level, "", 0, message, arguments or None, None)


@given(st.text())
@pytest.mark.parametrize("formatter", [Text(), Json(), Journal()], ids=["text", "json", "journal"])
def test_nobodys_words_begin_another_line_or_colour_a_terminal(formatter: logging.Formatter, words: str) -> None:
    line = formatter.format(record("topic %s: %s", words, "x"))
    assert len(line.splitlines()) == 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in line)


def test_a_traceback_cannot_pretend_to_be_other_lines() -> None:
    try:
        raise ValueError("\x1b[31mred\n2026-01-01T00:00:00Z INFO tanflow: all is well")
    except ValueError:
        one = logging.LogRecord("tanflow.x", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    first, *rest = Text().format(one).splitlines()
    assert first.endswith("ERROR tanflow.x: failed")
    assert all(line.startswith("    | ") for line in rest)
    assert "\x1b" not in "".join(rest)
    assert all(line.startswith("<3>") for line in Journal().format(one).splitlines())
    said = json.loads(Json().format(one))
    assert said["level"] == "error"
    assert "ValueError" in said["traceback"]


def test_what_is_critical_is_always_told() -> None:
    handler, into = lines(limit=Limit(lambda: 0.0))
    for _ in range(1_000):
        handler.handle(record("the log cannot be written", level=logging.CRITICAL))
    assert len(into.getvalue().splitlines()) == 1_000


def test_a_gateway_writes_json_lines(tmp_path: Path, full: bool) -> None:
    """As an option says, and in the full dose as a variable does."""
    for how in ("option", "variable") if full else ("option",):
        writes_json_lines(tmp_path, how)


def writes_json_lines(tmp_path: Path, how: str) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(
        "version: 1\nsite: {name: s, region: CN-GD}\ndata: {ballast_mb: 1}\nconnections:\n  c: {protocol: modbus}\n"
        "api: {port: 0}\nareas:\n  a:\n    assets:\n      m:\n        type: meter\n        devices:\n"
        "          d:\n            connection: c\n            address: 127.0.0.1:1/1\n            points:\n"
        "              power: {quantity: power, unit: kW, modbus: {address: 0, type: float32}}\n"
    )
    option = ["--log-format", "json"] if how == "option" else []
    environment = {"PATH": "/usr/bin:/bin", **({} if option else {"TANFLOW_LOG_FORMAT": "json"})}
    process = subprocess.Popen(
        [sys.executable, "-m", "tanflow", "run", "-c", str(config), *option],
        stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())
    process.terminate()
    process.communicate(timeout=300)
    assert {"time", "level", "logger", "message"} <= first.keys()


@pytest.mark.parametrize("form", [Text, Journal, Json])
def test_a_topic_as_long_as_a_book_is_no_book_in_the_log(form: type[Text]) -> None:
    """Whoever may publish could fill the disk with the names of topics; why they are refused stays to be read."""
    handler, into = lines(form())
    topic = "hall/" + "x" * 65_000
    handler.emit(logging.LogRecord("tanflow.mqtt", logging.WARNING, "", 0, "%s: %s", (topic, "no number"), None))
    told = into.getvalue()
    assert len(told) < 5_000
    assert "hall/xxx" in told
    assert "no number" in told
