"""A steel plant's year on the hours of Spain's grid, through the ledger: what counting by the hour changes.

Known from outside: the steel plant's 35,040 quarter hours (UCI 851, 959,636.71 kWh) and Electricity Maps' 8,760 hours
of Spain 2022 (mean 166.757 g/kWh). The plant's 2018 stands on 2022 hour by hour of the year.
"""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest

from carbon.entries import MICRO
from tests.proof.booking import DAY_NS, HOUR_NS, QUARTER_NS, booking, meter

DATA = Path(__file__).parents[1] / "data"
LOCATION = "main.electricity/2/purchased_electricity/location"
LATER = timedelta(days=1461)  # from 2018 to 2022: neither is a leap year, 2020 between them is
HEAD = "region,region_name,kind,value,unit,gas,data_year,valid_from,valid_to,publisher,publication,published_on,source,"
YEAR = HEAD + "confidence,licence\nES,,location_average,{mean},kg/kWh,co2e,2022,2022-01-01,2022-12-31,{said}\n"
SAID = "Electricity Maps,mean of the hours of 2022,2023,its own hours,high,ODbL"
SERIES = "{file: es.csv, region: ES, unit: g/kWh, gas: co2e, publisher: Electricity Maps, publication: hourly}"


class Recorded(NamedTuple):
    """The plant's quarter hours, and both by the hour as exact fractions."""

    ends_ns: list[int]
    kwh: list[float]
    by_hour: list[Fraction]  # [kWh]
    grid: list[Fraction]  # [kg/kWh]


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    with gzip.open(DATA / "steel" / "steel_2018_15min.csv.gz", "rt", encoding="utf-8-sig") as file:
        rows = [(row["date"], Decimal(row["Usage_kWh"])) for row in csv.DictReader(file)]
    ends = []
    for text, _ in rows:
        end = datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=UTC) + LATER
        end += timedelta(days=1) if (end.hour, end.minute) == (0, 0) else timedelta()  # stamped with the day that ends
        ends.append(int(end.timestamp()) * 10**9)
    with gzip.open(DATA / "grid_es" / "es_2022_hourly.csv.gz", "rt", encoding="utf-8") as file:
        grid = [Fraction(list(row.values())[1]) / 1000 for row in csv.DictReader(file)]
    by_hour = [sum((Fraction(kwh) for _, kwh in rows[i : i + 4]), Fraction()) for i in range(0, len(rows), 4)]
    return Recorded(ends, [float(kwh) for _, kwh in rows], by_hour, grid)


async def emitted(folder: Path, recorded: Recorded, factors: str) -> tuple[int, int]:
    """Return CO₂e [mg] and energy [mWh] of the year in the ledger."""
    first, last = recorded.ends_ns[0] - QUARTER_NS, recorded.ends_ns[-1]
    async with booking(folder, meter("Europe/Madrid", "ES", f"factors: {factors}"), first) as account:
        await account.count("main.import.energy", recorded.ends_ns, recorded.kwh, QUARTER_NS)
        await account.book(last + DAY_NS)
        kg, energy, hours = account.sums(LOCATION, [first, last], "mixed", "energy", "count")
        entries = account.line(LOCATION)
    assert hours == [8_760]
    assert set(entries.span_ns.tolist()) == {HOUR_NS}
    return kg[0], energy[0]


async def test_the_difference_of_hours_and_year_is_their_covariance(recorded: Recorded, tmp_path: Path) -> None:
    """E_hours = Σ kWhₜ·EFₜ, E_year = ΣkWh · mean EF, and E_hours − E_year = Σ (kWhₜ − mean)(EFₜ − mean), to the gram.

    147.636 t and 160.026 t: the plant works in the sunny hours. All three are exact fractions here; the ledger rounds
    each hour to a milligram, which 8,760 times is 4.4 g at the very most.
    """
    (kwh, grid), count = (recorded.by_hour, recorded.grid), 8_760
    assert len(kwh) == len(grid) == count
    mean_kwh, mean = sum(kwh) / count, sum(grid) / count
    assert float(mean) * 1000 == pytest.approx(166.757, abs=0.0005)
    covariance = sum((load - mean_kwh) * (factor - mean) for load, factor in zip(kwh, grid, strict=True))

    (tmp_path / "hours").mkdir()
    (tmp_path / "year").mkdir()
    packed = (DATA / "grid_es" / "es_2022_hourly.csv.gz").read_bytes()
    (tmp_path / "hours" / "es.csv").write_bytes(gzip.decompress(packed))
    (tmp_path / "year" / "es.csv").write_text(YEAR.format(mean=repr(float(mean)), said=SAID))
    by_hour, energy = await emitted(tmp_path / "hours", recorded, f"{{series: [{SERIES}]}}")
    by_year, same = await emitted(tmp_path / "year", recorded, "{rule: same_year, tables: [es.csv]}")

    assert energy == same == 959_636_710_000
    assert by_hour / MICRO / 1000 == pytest.approx(147.636, abs=0.0005)
    assert by_year / MICRO / 1000 == pytest.approx(160.026, abs=0.0005)
    assert (by_hour - by_year) / MICRO == pytest.approx(float(covariance), abs=0.001)
    assert float(covariance) == pytest.approx(-12_390, abs=1)
