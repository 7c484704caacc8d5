"""A paper mill's heat meter over a year of hours with gaps, as purchased heat in the account.

Known from outside: 8,784 hourly means of the year 2020 with the number of minutes each has (Condat, published with
SunPeek, Zenodo 18800051): 3,590.2 MWh, 6,238 minutes missing, the longest hole of 3,472 minutes from 14 March. Bought
heat is 0.11 t CO₂/GJ (NDRC, 24 guidelines), so 0.396 kg/kWh.
"""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from carbon.entries import MICRO
from carbon.filling.gaps import Grid, courses, gaps, standing
from carbon.ledger import Ledger
from tests.proof.booking import DAY_NS, HOUR_NS, at, booking, meter, months, whole

DATA = Path(__file__).parents[1] / "data" / "condat" / "heat_meter_2020_hourly.csv.gz"
ZONE = "Europe/Paris"
HEAT = "main.heat/2/purchased_heat/factor"
MINUTE_NS, MINUTES = 60 * 10**9, 366 * 24 * 60
MISSING = 6_238


def published() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return beginnings of the hours [ns], the energy of their minutes [kWh] and how many there are."""
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    start = [int(datetime.fromisoformat(row["h"]).timestamp()) * 10**9 for row in rows]
    mean, count = (
        np.array([float(r[f"Sol1_Sek_EnergyMeter1_Power_{n}"] or 0) for r in rows]) for n in ("mean", "count")
    )
    return np.array(start), mean * count / 60, count.astype(np.int64)


async def test_a_year_of_bought_heat_and_what_its_meter_missed(tmp_path: Path) -> None:
    start, kwh, minutes = published()
    there = minutes > 0
    assert (len(start), int(minutes.sum())) == (8_784, MINUTES - MISSING)
    assert kwh.sum() / 1000 == pytest.approx(3_590.2, abs=0.05)
    # Where in its hour a minute lies is not published: those of an hour are taken to be its first.
    async with booking(tmp_path, meter(ZONE, "FR", carrier="heat"), int(start[0])) as account:
        ends = start[there] + minutes[there] * MINUTE_NS
        await account.count("main.import.energy", ends, kwh[there], minutes[there] * MINUTE_NS)
        await account.book(int(start[-1]) + DAY_NS)
        edges = months(ZONE, 2020)
        energy, kg, covered, hours = account.sums(HEAT, edges, "energy", "co2", "covered_ns", "count")
        with Ledger.open(account.folder) as ledger:
            course = courses(ledger, Grid(edges[0], HOUR_NS, len(start)), account.gateway.books.streams)["main.heat"]
    assert energy == [int(whole(kwh)[(a <= start) & (start < b)].sum()) for a, b in pairwise(edges)]
    assert sum(kg) / MICRO == pytest.approx(kwh.sum() * 0.396, abs=1e-6 * sum(hours))  # 110 kg/GJ · 0.0036 GJ/kWh
    assert sum(kg) / MICRO / 1000 == pytest.approx(1_421.72, abs=0.005)
    # What is not measured is not counted, and told: 98.82 % of the year is covered.
    assert sum(covered) == (MINUTES - MISSING) * MINUTE_NS
    assert standing(course).missing == pytest.approx(MISSING / MINUTES, abs=1e-9)
    assert sum(gap.missing_ns for gap in gaps(course)) == MISSING * MINUTE_NS
    longest = max(gaps(course), key=lambda gap: gap.missing_ns)
    assert longest.missing_ns == 3_472 * MINUTE_NS
    assert at(ZONE, 2020, 3, 14) <= longest.start_ns < at(ZONE, 2020, 3, 15)
