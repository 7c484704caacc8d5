"""Germany's generation of 2018 by the quarter hour, a spring hour missing and an autumn hour twice, in the account.

Known from outside (Bundesnetzagentur | SMARD.de): 542.2 TWh, 128.4 TWh of it from lignite, 92 quarters on 25 March and
100 on 28 October. The file is in German: local times without offset, 1.234,5 for a number.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from carbon.entries import MICRO
from carbon.ledger import verify
from config.errors import ConfigError
from config.factor_series import FactorSeries, read_series
from simulators.replay import Replay, read
from tests.carbon.papers import documents, enter
from tests.proof.booking import DAY_NS, QUARTER_NS, at, booking, meter, months

DATA = Path(__file__).parents[1] / "data" / "smard" / "generation_2018_15min.csv.gz"
ZONE = "Europe/Berlin"
LOCATION = "main.electricity/2/purchased_electricity/location"
ENERGY = "main.import.energy"
FLAT = """\
region,region_name,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,confidence,licence
DE,,location_average,0.5,kg/kWh,co2e,2018,2018-01-01,2018-12-31,a test,half a kilogram,2018,a round number,high,
"""


class Quarter(NamedTuple):
    """One row of the file: the texts of its local time, and exact MWh."""

    day: str  # dd.mm.yyyy
    hour: str  # hh:mm, the beginning
    lignite: Decimal
    total: Decimal


def german(number: str) -> Decimal:
    return Decimal(number.replace(".", "").replace(",", "."))


@pytest.fixture(scope="module")
def year() -> list[Quarter]:
    with gzip.open(DATA, "rt", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file, delimiter=";"))[1:]
    return [Quarter(day, hour, german(lignite), german(total)) for day, hour, lignite, total in rows]


@pytest.fixture(scope="module")
def starts(year: list[Quarter], tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Return where each quarter begins [ns UTC], as the reader of recordings makes it of the local texts."""
    file = tmp_path_factory.mktemp("smard") / "local.csv"
    file.write_text("at,kwh\n" + "".join(f"{q.day} {q.hour},{q.total * 1000:f}\n" for q in year))
    said = {"file": file, "time": "at", "time_format": "%d.%m.%Y %H:%M", "zone": ZONE}
    return read(Replay.model_validate(said | {"gauges": {"generation": {"column": "kwh"}}})).time_ns.tolist()


def by_local_month(year: list[Quarter], of: str) -> list[int]:
    """Return the months' sums by the texts of the file [1e-6 kWh]: no instant and no zone is involved."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for quarter in year:
        found[quarter.day[3:5]] += getattr(quarter, of)
    return [int(found[month] * 1000 * MICRO) for month in sorted(found)]


def test_the_year_is_what_its_publisher_says(year: list[Quarter]) -> None:
    assert len(year) == 35_040
    assert sum(q.total for q in year) == Decimal("542182349.25")
    assert sum(q.lignite for q in year) == Decimal("128365963.75")
    rows = Counter(q.day for q in year)
    assert {day: n for day, n in rows.items() if n != 96} == {"25.03.2018": 92, "28.10.2018": 100}


def test_local_texts_become_instants_without_a_hole_or_a_double(starts: list[int]) -> None:
    assert starts[0] == at(ZONE, 2018, 1, 1)
    assert np.unique(np.diff(starts)).tolist() == [QUARTER_NS]
    assert starts[-1] + QUARTER_NS == at(ZONE, 2019, 1, 1)


async def test_months_and_days_of_the_account_are_those_of_the_file(
    year: list[Quarter], starts: list[int], tmp_path: Path
) -> None:
    """The account of hours and that of quarter hours say the same, month by month, to the last 1e-6 kWh."""
    kwh, ends = [float(q.total) * 1000 for q in year], np.array(starts) + QUARTER_NS
    factors = "factors: {rule: same_year, tables: [flat.csv]}"
    spring, autumn = at(ZONE, 2018, 3, 25), at(ZONE, 2018, 10, 28)
    changed = [spring, at(ZONE, 2018, 3, 26), autumn, at(ZONE, 2018, 10, 29)]
    said = {}
    for interval, per_hour in (("60min", 1), ("15min", 4)):
        folder = tmp_path / interval
        folder.mkdir()
        (folder / "flat.csv").write_text(FLAT)
        config = meter(ZONE, "DE", f"{factors}\naccounting: {{interval: {interval}}}")
        async with booking(folder, config, starts[0]) as account:
            await account.count(ENERGY, ends, kwh, QUARTER_NS)
            await account.book(int(ends[-1]) + DAY_NS)
            by_month = account.sums(LOCATION, months(ZONE, 2018), "amount", "mixed", "covered_ns", "count")
            of_days = account.sums(LOCATION, changed, "count", "covered_ns")
            assert verify(account.folder).ok
        assert by_month[0] == by_local_month(year, "total")
        assert [n // per_hour for n in by_month[3]] == [744, 672, 743, 720, 744, 720, 744, 744, 720, 745, 720, 744]
        assert [of_days[0][i] / per_hour for i in (0, 2)] == [23, 25]  # hours of the days the clocks change
        assert [of_days[1][i] / QUARTER_NS for i in (0, 2)] == [92, 100]
        said[interval] = by_month[:3]
    assert said["60min"] == said["15min"]
    # 542,182,349.25 MWh at 500 kg: exact, because no quarter hour has to be rounded.
    assert sum(said["60min"][1]) == 271_091_174_625 * MICRO


async def test_lignite_by_its_share_of_each_quarter_is_lignite(
    year: list[Quarter], starts: list[int], tmp_path: Path
) -> None:
    """All generation × the share of lignite in each quarter [kg/kWh] = lignite, in the months the clocks change.

    The factors go in as a series in local time without offsets, so amounts and factors must meet in the same quarter
    before and after each change; an hour off, and a month differs by gigagrams.
    """
    rows = [(q, start) for q, start in zip(year, starts, strict=True) if q.day[3:5] in ("03", "10")]
    local = [f"2018-{q.day[3:5]}-{q.day[:2]} {q.hour},{float(q.lignite / q.total)!r}\n" for q, _ in rows]
    (tmp_path / "shares.csv").write_text("time,kg\n" + "".join(local))
    of = f"file: shares.csv, region: DE, unit: kg/kWh, gas: co2, step: 15min, zone: {ZONE}"
    factors = f"factors: {{series: [{{{of}, publisher: SMARD.de, publication: share of lignite}}]}}"
    config = meter(ZONE, "DE", f"{factors}\naccounting: {{interval: 15min}}")
    ends = np.array([start for _, start in rows]) + QUARTER_NS
    async with booking(tmp_path, config, int(ends[0])) as account:
        await account.count(ENERGY, ends, [float(q.total) * 1000 for q, _ in rows], QUARTER_NS)
        await account.book(int(ends[-1]) + DAY_NS)
        kg, quarters = account.sums(LOCATION, months(ZONE, 2018), "co2", "count")
        assert (account.line(LOCATION).quality == 0).all()  # no step had to be filled
    assert [n for n in quarters if n] == [743 * 4, 745 * 4]
    # Each quarter is rounded to a milligram, and its share is a float of 53 bits: 1.5e13 mg · 2⁻⁵³ is below that.
    expected = by_local_month(year, "lignite")
    for month in (2, 9):
        assert abs(kg[month] - expected[month]) <= quarters[month]


def test_a_local_series_cannot_be_read_as_if_it_were_utc(year: list[Quarter], tmp_path: Path) -> None:
    """Without `zone:` the doubled hour of autumn is a mistake that is told, and not an hour silently lost."""
    autumn = [q for q in year if q.day == "28.10.2018"]
    file = tmp_path / "autumn.csv"
    file.write_text("time,kg\n" + "".join(f"2018-10-28 {q.hour},0.4\n" for q in autumn))
    known = {"region": "DE", "unit": "kg/kWh", "gas": "co2", "publisher": "x", "publication": "y", "step": "15min"}
    with pytest.raises(ConfigError, match=r"autumn.csv:14: series: times must go up"):
        read_series(FactorSeries.model_validate(known | {"file": file}))
    steps = read_series(FactorSeries.model_validate(known | {"file": file, "zone": ZONE}))
    assert len(steps.start_ns) == 100
    first, last = (datetime.fromtimestamp(int(t) // 10**9, ZoneInfo(ZONE)) for t in steps.start_ns[[0, -1]])
    assert (first.day, first.hour, last.day, last.hour) == (28, 0, 28, 23)


def test_numbers_written_in_german_are_refused_and_not_guessed(tmp_path: Path) -> None:
    """1.194,75 is no number here; nothing of a sheet that holds one is entered."""
    office = documents(tmp_path)
    head = "kind,asset,carrier,from,to,quantity,unit"
    row = 'delivery,genset,diesel,2025-01-01,2025-01-31,"1.194,75",kg'
    with pytest.raises(ConfigError, match=r"1.194,75' is not a number; write e.g. 1250.5"):
        enter(office, f"{head}\ndelivery,genset,diesel,2025-02-01,2025-02-28,800,kg\n{row}")
    with pytest.raises(ConfigError, match=r"'1,194.75' is ambiguous"):
        enter(office, f"{head}\n{row.replace('1.194,75', '1,194.75')}")
