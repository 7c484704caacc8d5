"""What holds of any account: parts sum to totals, and how amounts arrive does not matter."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from carbon.entries import MICRO, Entries
from carbon.ledger import Ledger, Reason, verify
from carbon.market.year import allocate_year, restate_market
from carbon.report.model import Period, report
from carbon.restate import Span, restate_factors
from pipeline import quality as q
from tests.carbon.plant import CONFIG, GAS, IMPORT, PRESS, START_NS, SUN, Plant, open_plant

REST = "accounting: {virtual: {rest: {asset: main, plus: [main.electricity], minus: [press.electricity]}}}\n"
WITH_REST = CONFIG.replace("connections:", REST + "connections:", 1)
# What fails is shown as it was found: making a whole account smaller step by step takes minutes.
FEW = settings(max_examples=12, phases=(Phase.reuse, Phase.generate))
DAYS_S = 40 * 86_400
COLUMNS = ("amount", "energy", "co2", "mixed", "estimated", "covered_ns", "quality")


class Row(NamedTuple):
    """One amount of a series, of the interval that ends `end_s` after the plant's first midnight."""

    key: str
    end_s: int
    span_s: int
    amount: float
    quality: int


@st.composite
def recorded(draw: st.DrawFn) -> list[Row]:
    """Draw amounts of four series: intervals of any length that touch or leave gaps, over edges of hours and months."""
    rows = []
    for key in (IMPORT, PRESS, GAS, SUN):
        at = draw(st.integers(0, 30 * 86_400))
        for _ in range(draw(st.integers(1, 6))):
            span = draw(st.sampled_from([60, 299, 900, 1_800, 3_600, 10_000]))
            at += span + draw(st.sampled_from([0, 0, 0, 450, 86_400]))
            amount = draw(st.integers(0, 10**9)) / 1000
            doubt = draw(st.sampled_from([0, 0, q.UNCERTAIN | q.QUANTITY_ESTIMATED]))
            rows.append(Row(key, at, span, amount, doubt))
    return rows


async def append(plant: Plant, rows: Sequence[Row]) -> None:
    for row in rows:
        await plant.append(row.key, [row.end_s], [row.amount], row.span_s, row.quality)


async def booked(folder: Path, parts: Sequence[Sequence[Row]], restart: Sequence[bool]) -> dict[Any, tuple[int, ...]]:
    """Book rows part by part, with a restart after some; return the effective entries by line and start."""
    number = 0
    while number < len(parts):
        async with open_plant(folder, WITH_REST) as plant:
            while number < len(parts):
                await append(plant, parts[number])
                await plant.tick(max((row.end_s for row in parts[number]), default=0) + 400)
                await plant.book()
                number += 1
                if restart[number - 1]:
                    break
    async with open_plant(folder, WITH_REST) as plant:
        await plant.tick(DAYS_S)
        await plant.book()
        entries = plant.entries()
        with Ledger.open(plant.folder) as ledger:
            lines, factors = ledger.lines, ledger.factors
        assert verify(plant.folder).ok
    columns = zip(*(getattr(entries, name).tolist() for name in COLUMNS), strict=True)
    keys = zip(entries.line.tolist(), entries.start_ns.tolist(), entries.factor.tolist(), strict=True)
    return {
        (lines[line].key, start, factors[factor].version): row
        for (line, start, factor), row in zip(keys, columns, strict=True)
    }


@FEW
@given(st.data())
async def test_the_same_amounts_make_the_same_account_however_they_arrive(data: st.DataObject) -> None:
    """In one batch and in order, or shuffled over batches, late, and with restarts between them."""
    rows = data.draw(recorded())
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
    parts = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    restart = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        at_once = await booked(Path(one), [rows], [False])
        in_parts = await booked(Path(other), parts, restart)
    assert in_parts == at_once


@FEW
@given(recorded())
async def test_parts_sum_to_totals_and_restating_the_same_changes_nothing(rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_plant(Path(folder), WITH_REST) as plant:
            await append(plant, rows)
            await plant.tick(DAYS_S)
            await plant.book()
            check_parts(plant, rows)
            check_restating(plant)


def check_parts(plant: Plant, rows: Sequence[Row]) -> None:
    """What came in is what stands there; each part and the rest are the whole; the report says what the ledger says."""
    with Ledger.open(plant.folder) as ledger:
        entries = Entries.join(list(ledger.read()))
        stream = {n: line.stream for n, line in ledger.lines.items()}
        made = report(
            ledger, plant.gateway.books.config, Period(2025, None, ZoneInfo("Asia/Shanghai")), now_ns=START_NS
        )
        inside = {n for n, line in ledger.lines.items() if line.role == "boundary" and line.method != "market"}
    by_stream: dict[str, dict[int, int]] = {}
    for number, start, amount in zip(
        entries.line.tolist(), entries.start_ns.tolist(), entries.amount.tolist(), strict=True
    ):
        by_stream.setdefault(stream[number], {})[start] = amount
    for key, name in ((IMPORT, "main.electricity"), (PRESS, "press.electricity"), (GAS, "oven.natural_gas")):
        assert sum(by_stream[name].values()) == sum(round(row.amount * MICRO) for row in rows if row.key == key)
    main, press, rest = (
        by_stream[f"{name}"] for name in ("main.electricity", "press.electricity", "main.electricity.rest")
    )
    for start, amount in rest.items():
        assert amount == main.get(start, 0) - press.get(start, 0)
    boundary = entries.take(np.isin(entries.line, list(inside)))
    assert made.figures["location"] == int(boundary.co2e.sum())
    (gas,) = (n for n, name in stream.items() if name == "oven.natural_gas")
    assert made.figures["scope_1"] == int(boundary.co2e[boundary.line == gas].sum())
    for name in ("scopes", "months"):
        table = made.table(name)
        whole = [row for row in table.rows if row.depth == 0 and not row.sort]
        column = table.column("location" if name == "scopes" else "total_location")
        cells = [cell for row in whole if isinstance(cell := row.cells[column], int)]
        assert sum(cells) == made.figures["location"]


def check_restating(plant: Plant) -> None:
    """The same factors and the same instruments append nothing; the head stays where it was."""
    books = plant.gateway.books
    with Ledger.open(plant.folder, write=True) as ledger:
        head = ledger.head()
        rules = {line.key: steps for stream in books.rules.values() for line, steps in stream}
        again = {n: rules[line.key] for n, line in ledger.lines.items()}
        span = Span(START_NS, START_NS + DAYS_S * 10**9, books.zone)
        assert restate_factors(ledger, again, span, Reason("restatement", "again", "Li")).changed == 0
        assert restate_market(books, ledger, 2025, allocate_year(books, ledger, 2025), "Li").changed == 0
        assert ledger.head() == head


# ── late amounts ──────────────────────────────────────────────────────────────────────────────────

LOCATION, MARKET = (f"main.electricity/2/purchased_electricity/{method}" for method in ("location", "market"))


async def test_a_late_amount_leaves_the_mark_of_a_fallback_where_it_belongs(tmp_path: Path) -> None:
    """No residual mix is published for Guangdong, so the market line is a fallback; the location's factor is not."""
    async with open_plant(tmp_path) as plant:
        for end_s, now_s in ((1_800, 2 * 3_600), (3_600, 3 * 3_600)):
            await append(plant, [Row(IMPORT, end_s, 1_800, 10.0, 0)])
            await plant.tick(now_s)
            await plant.book()
        entries = plant.entries()
        with Ledger.open(plant.folder) as ledger:
            marks = {ledger.lines[n].key: int(m) for n, m in zip(entries.line, entries.quality, strict=True)}
    assert entries.amount.tolist() == [20 * MICRO, 20 * MICRO]
    assert marks == {LOCATION: 0, MARKET: int(q.FACTOR_FALLBACK | q.UNCERTAIN)}


async def test_a_late_amount_of_an_asset_that_has_moved_is_added_to_what_was_booked_before(tmp_path: Path) -> None:
    """The asset's type changes after its first hour: its line has a new number and is still one line."""
    moved = CONFIG.replace("main:\n        type: meter", "main:\n        type: building")
    assert moved != CONFIG
    async with open_plant(tmp_path) as plant:
        await append(plant, [Row(IMPORT, 1_800, 1_800, 10.0, 0)])
        await plant.tick(3_900)
        await plant.book()
    async with open_plant(tmp_path, moved) as plant:
        await append(plant, [Row(IMPORT, 7_200, 3_600, 7.0, 0)])
        await plant.tick(7_500)
        await plant.book()
        await append(plant, [Row(IMPORT, 3_600, 1_800, 3.0, 0)])
        await plant.tick(4 * 3_600)
        await plant.book()
        entries = plant.entries()
        with Ledger.open(plant.folder) as ledger:
            mine = {n for n, line in ledger.lines.items() if line.key == LOCATION}
        rows = entries.take(np.isin(entries.line, list(mine)))
    assert len(mine) == 2
    assert (rows.amount // MICRO).tolist() == [13, 7]


async def test_a_quarter_hour_told_in_two_parts_has_the_peak_of_both(tmp_path: Path) -> None:
    """5 kWh and late another 7 in one quarter hour: 12 kWh / 0.25 h = 48 kW, which the demand charge asks for."""
    quarters = CONFIG.replace("connections:", "accounting: {interval: 15min}\nconnections:", 1)
    async with open_plant(tmp_path, quarters) as plant:
        for row, now_s in ((Row(IMPORT, 450, 450, 5.0, 0), 1_800), (Row(IMPORT, 900, 450, 7.0, 0), 3_600)):
            await append(plant, [row])
            await plant.tick(now_s)
            await plant.book()
        entries = plant.entries()
    assert (entries.amount.tolist(), entries.peak.tolist()) == ([12 * MICRO] * 2, [48.0, 48.0])
