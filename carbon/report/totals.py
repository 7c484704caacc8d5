"""Sums of a period → what is stated of it: by scope, ISO category, GB/T 32150 term, gas and month, and its energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from carbon.entries import Integers, Line
from carbon.factor import GASES
from carbon.factors.standard_coal import tce_per_unit
from carbon.report.table import Cell, Column, Row, Table, Word, word
from carbon.report.tally import Mask, Tally
from carbon.report.words import term
from config.carriers import about

SCOPES: Final = (1, 2, 3)
CATEGORIES: Final = {
    1: ("stationary_combustion", "mobile_combustion", "process", "fugitive"),
    2: ("purchased_electricity", "purchased_heat", "purchased_steam", "purchased_cooling"),
    3: ("upstream_fuel", "upstream_electricity", "td_losses"),
}
# Losses and what energy took to arrive are products used by the organisation: ISO 14064-1:2018, annex B.3 and B.5.
_ISO: Final = {1: 1, 2: 2, 4: 3}
METHODS: Final = ("location", "market")
_BURN: Final = ("stationary_combustion", "mobile_combustion")
_HEAT: Final = ("purchased_heat", "purchased_steam", "purchased_cooling")
_HEATS: Final = ("heat", "hot_water", "steam", "cooling")
_MG_PER_MWH: Final = 1000  # of standard coal, where a kWh is a tonne of it: 1e9 mg by 1e6 mWh


def joules(energy: int) -> int:
    """Return the heat [J] of an energy [mWh]: 3.6 J each."""
    return energy * 36 // 10


def coal(carrier: str, energy: int) -> int:
    """Return the standard coal [mg] of an energy [mWh] of a carrier, by its heat (GB/T 2589-2020)."""
    electric = "electricity" if about(carrier).category == "own_generation" else carrier
    return round(energy * _MG_PER_MWH * tce_per_unit(electric, "kWh", kwh_per_unit=1.0))


def scopes(tally: Tally) -> Table:
    """Return emissions by scope and category, location- and market-based side by side, biogenic CO₂ apart."""
    rows: list[Row] = []
    for scope in SCOPES:
        names = [c for c in _categories(tally, scope) if _present(tally, scope, c)]
        rows.append(Row((word(f"scope.{scope}"), *_figures(tally, scope)), 0))
        rows += [Row((term("category", name), *_figures(tally, scope, name)), 1) for name in names]
    columns = (Column("source"), Column("location", "mass"), Column("market", "mass"), Column("biogenic", "mass"))
    return Table("scopes", columns, tuple(rows), total=True, rounds="rows", notes=(word("note.biogenic"),))


def iso(tally: Tally) -> Table:
    """Return emissions by the categories of ISO 14064-1:2018; a category the account does not hold is left open."""
    rows = []
    for category in range(1, 7):
        scope = _ISO.get(category)
        figures: Sequence[Cell] = _figures(tally, scope) if scope else (None, None, None)
        rows.append(Row((word(f"iso.{category}"), *figures)))
    columns = (Column("category"), Column("location", "mass"), Column("market", "mass"), Column("biogenic", "mass"))
    return Table("iso", columns, tuple(rows), total=True, rounds="rows", notes=(word("note.iso"),))


def gases(tally: Tally) -> Table:
    """Return emissions by gas in CO₂ equivalents; the market-based row stands beside the total."""
    parts: list[tuple[str, Mask, Literal["", "memo"]]] = [
        ("scope.1", tally.scope(1), ""),
        ("scope.2_location", tally.scope(2), ""),
        ("scope.3", tally.scope(3), ""),
        ("scope.2_market", tally.scope(2, "market"), "memo"),
    ]
    rows = []
    for key, mask, sort in parts:
        split = [tally.add(tally.values[gas], mask) for gas in GASES]
        biogenic = tally.add(tally.values["biogenic"], mask)
        rows.append(Row((word(key), *split, sum(split), biogenic), 0, sort))
    columns = (
        Column("source"), *(Column(gas, "mass") for gas in GASES), Column("co2e", "mass", GASES),
        Column("biogenic", "mass"),
    )  # fmt: skip
    return Table("gases", columns, tuple(rows), total=True, rounds="across", notes=(word("note.mixed"),))


def gbt(tally: Tally) -> Table:
    """Return the terms of GB/T 32150: E = burn + process + electricity + heat in − out − recovered."""

    def taken(test: Callable[[Line], bool]) -> Mask:
        return tally.lines_where(lambda x: x.role == "boundary" and x.method != "market" and test(x))

    terms = (
        ("burn", taken(lambda x: x.scope == 1 and x.category in _BURN)),
        ("process", taken(lambda x: x.scope == 1 and x.category not in _BURN)),
        ("electricity_in", taken(lambda x: x.scope == 2 and x.category not in _HEAT)),
        ("heat_in", taken(lambda x: x.scope == 2 and x.category in _HEAT)),
    )
    carbon = tally.values["co2"] + tally.values["mixed"]
    rows = [
        Row((word(f"gbt.{name}"), c := tally.add(carbon, mask), (e := tally.add(tally.mass, mask)) - c, e))
        for name, mask in terms
    ]
    for name, carriers in (("electricity_out", ("electricity",)), ("heat_out", _HEATS)):
        c, e = -given_away(tally, carbon, carriers), -given_away(tally, tally.mass, carriers)
        rows.append(Row((word(f"gbt.{name}"), c, e - c, e)))
    rows.append(Row((word("gbt.recovered"), 0, 0, 0)))
    columns = (
        Column("source"), Column("co2", "mass"), Column("other_gases", "mass"),
        Column("co2e", "mass", ("co2", "other_gases")),
    )  # fmt: skip
    notes = (word("note.gbt"), word("note.given_away"))
    return Table("gbt", columns, tuple(rows), total=True, rounds="across", notes=notes)


def given_away(tally: Tally, mass: Integers, carriers: Sequence[str]) -> int:
    """Return what energy given away weighs [mg] at the mean factor of the same carrier bought in the same month."""
    total, energy = 0, tally.values["energy"]
    for carrier in carriers:
        ours = tally.lines_where(lambda x, c=carrier: x.carrier == c)  # type: ignore[misc]
        bought = tally.by_month(energy, ours & tally.energy_of("boundary"))
        weight = tally.by_month(mass, ours & tally.scope(2))
        out = tally.by_month(energy, ours & tally.energy_of("export"))
        mean = sum(weight), sum(bought)
        for sold, heavy, all_of in zip(out, weight, bought, strict=True):
            part, whole = (heavy, all_of) if all_of > 0 else mean
            total += sold * part // whole if whole > 0 else 0
    return total


def energy(tally: Tally) -> Table:
    """Return what the site took in and made, by carrier, and what it gave away, in kWh, GJ and tce."""
    rows = []
    for role, sort in (("boundary", ""), ("own", ""), ("export", "memo")):
        found = tally.by_line(tally.values["energy"], tally.energy_of(role))
        for carrier in tally.carriers(found):
            total = sum(value for n, value in found.items() if tally.lines[n].carrier == carrier)
            if total:
                cells = (term("carrier", carrier), word(f"role.{role}"), total, joules(total), coal(carrier, total))
                rows.append(Row(cells, 0, "memo" if sort else ""))
    columns = (
        Column("carrier"), Column("origin"), Column("energy", "energy"), Column("heat", "heat"), Column("coal", "coal")
    )  # fmt: skip
    return Table("energy", columns, tuple(rows), total=True, rounds="rows", notes=(word("note.energy"),))


def months(tally: Tally, labels: Sequence[Cell]) -> Table:
    """Return emissions by month and scope."""
    figures = [
        tally.by_month(tally.mass, mask)
        for mask in (tally.scope(1), tally.scope(2), tally.scope(2, "market"), tally.scope(3))
    ]
    rows = []
    for month, (one, two, market, three) in enumerate(zip(*figures, strict=True)):
        cells = (labels[month], one, two, market, three, one + two + three, one + market + three)
        rows.append(Row(cells))
    columns = (
        Column("month", "date"), Column("scope_1", "mass"), Column("scope_2_location", "mass"),
        Column("scope_2_market", "mass"), Column("scope_3", "mass"),
        Column("total_location", "mass", ("scope_1", "scope_2_location", "scope_3")),
        Column("total_market", "mass", ("scope_1", "scope_2_market", "scope_3")),
    )  # fmt: skip
    return Table("months", columns, tuple(rows), total=True)


def energy_months(tally: Tally, labels: Sequence[Cell]) -> Table:
    """Return energy taken in and made by month and carrier."""
    mask = tally.energy_of("boundary", "own")
    carriers = tally.carriers(tally.by_line(tally.values["energy"], mask))
    by_carrier = {
        c: tally.by_month(tally.values["energy"], mask & tally.lines_where(lambda line, c=c: line.carrier == c))  # type: ignore[misc]
        for c in carriers
    }
    shown = {c: values for c, values in by_carrier.items() if any(values)}
    rows = tuple(
        Row((label, *(v[m] for v in shown.values()), sum(v[m] for v in shown.values())))
        for m, label in enumerate(labels)
    )
    keys = tuple(f"energy_{carrier}" for carrier in shown)
    columns = (
        Column("month", "date"),
        *(Column(key, "energy", label=_label(carrier)) for key, carrier in zip(keys, shown, strict=True)),
        Column("energy", "energy", keys),
    )
    return Table("energy_months", columns, rows, total=True)


def _label(carrier: str) -> Word:
    named = term("carrier", carrier)
    return named if isinstance(named, Word) else word("plain", text=named)


def figures(tally: Tally) -> dict[str, int]:
    """Return the exact totals [mg, mWh] of the period by name."""
    sums = {f"scope_{s}_{m}": tally.add(tally.mass, tally.scope(s, m)) for s in SCOPES for m in METHODS}
    totals = {m: sum(sums[f"scope_{s}_{m}"] for s in SCOPES) for m in METHODS}
    amounts = {role: tally.add(tally.values["energy"], tally.energy_of(role)) for role in ("boundary", "own", "export")}
    biogenic = sum(_figures(tally, scope)[2] for scope in SCOPES)
    return {
        "scope_1": sums["scope_1_location"],
        "scope_2_location": sums["scope_2_location"],
        "scope_2_market": sums["scope_2_market"],
        "scope_3": sums["scope_3_location"],
        "location": totals["location"],
        "market": totals["market"],
        "biogenic": biogenic,
        **{f"energy_{role}": amount for role, amount in amounts.items()},
    }


def _categories(tally: Tally, scope: int) -> list[str]:
    """Return the categories of a scope, those the account uses beyond the known ones last."""
    known = CATEGORIES[scope]
    used = {tally.lines[n].category for n in tally.used if tally.lines[n].scope == scope}
    return [*known, *sorted(used.difference(known))]


def _present(tally: Tally, scope: int, category: str) -> bool:
    lines = (tally.lines[n] for n in tally.used)
    return any(x.scope == scope and x.category == category and x.role == "boundary" for x in lines)


def _figures(tally: Tally, scope: int, category: str = "") -> tuple[int, int, int]:
    """Return location-based and market-based emissions and biogenic CO₂ of a scope or one category of it [mg]."""

    def of(values: Integers, method: str) -> int:
        mask = tally.scope(scope, method)
        if category:
            mask = mask & tally.lines_where(lambda line: line.category == category)
        return tally.add(values, mask)

    return of(tally.mass, "location"), of(tally.mass, "market"), of(tally.values["biogenic"], "location")
