"""Asset types: every formula's units fit, each figure comes with its points, and grades are those of the standards."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, get_args

import pytest

from config.asset_types import AssetType, load_all
from config.formula import parse
from config.formula_units import check
from config.grades import STANDARDS, grading
from config.kpis import Figure, figures, tolerance
from config.model import Asset, Gateway
from config.model import AssetType as TypeName
from config.points import Point
from config.quantities import QUANTITIES, unit_of
from config.vocabulary import Vocabulary, grading_of, grading_said
from pipeline.figures import Limits

TYPES = load_all()
GB19153 = Path(__file__).parents[1] / "data" / "gb19153" / "limits.csv"
WATER_COOLED = {"use": "comfort", "condenser": "water_cooled"}
BARE = {"version": 1, "connections": {}}
SHIFTS = {"day": {"start": "08:00", "end": "20:00"}}


def point(quantity: str) -> Point:
    return Point(quantity=quantity, unit=QUANTITIES[quantity].unit, opcua={"node": "ns=2;s=x"})


def points_of(kind: AssetType, *left_out: str) -> dict[str, Point]:
    """Return every point a type knows, under the first of its names, but those of some roles."""
    return {role.names[0]: point(role.quantity) for name, role in kind.roles.items() if name not in left_out}


def facts_of(kind: AssetType) -> dict[str, Any]:
    """Return a fact for everything a type asks for: the first word, or 100."""
    return {name: fact.one_of[0] if fact.one_of else 100.0 for name, fact in kind.facts.items()}


def plant(shifts: dict[str, Any] | None = None, **assets: dict[str, Any]) -> Gateway:
    site = {"name": "works", "region": "GB", "shifts": SHIFTS if shifts is None else shifts}
    areas = {"hall": {"assets": {name.replace("_", "-"): asset for name, asset in assets.items()}}}
    return Gateway.model_validate(BARE | {"site": site, "areas": areas})


def found(gateway: Gateway, **points: dict[str, Point]) -> dict[str, Figure]:
    return figures(gateway, {name.replace("_", "-"): p for name, p in points.items()}).found


def test_there_is_a_type_for_every_name_but_other() -> None:
    assert set(TYPES) == set(get_args(TypeName)) - {"other"}


@pytest.mark.parametrize("kind", TYPES.values(), ids=lambda kind: kind.id)
def test_every_formula_of_a_type_has_the_unit_it_declares(kind: AssetType) -> None:
    """With all points and facts there, its members being machines of their own, each of several formulas fits."""
    machine = "chiller" if kind.id == "chiller_plant" else "compressor"
    a = {"type": kind.id, "facts": facts_of(kind), "members": ["b"] if kind.of_members else []}
    gateway = plant(a=a, b={"type": machine, "facts": facts_of(TYPES[machine])})
    for left_out in ((), *((word,) for word in kind.of_members)):
        points = {"a": points_of(kind, *left_out), "b": points_of(TYPES[machine])}
        words = Vocabulary.of(gateway, points)
        for kpi in kind.kpis.values():
            for formula in kpi.formulas:
                check(parse(formula), lambda word, words=words: words.resolve("a", word), kpi.unit)
    for kpi in kind.kpis.values():
        if kpi.grade:
            assert unit_of(kpi.unit) == unit_of(STANDARDS[kpi.grade.standard].unit)


def test_an_asset_gets_the_figures_its_points_allow() -> None:
    kind = TYPES["compressor"]
    gateway = plant(a={"type": "compressor"})
    assert found(gateway, a=points_of(kind, "power")) == {}  # without what the type requires there is nothing
    few = found(gateway, a={"power": point("power"), "flow": point("volume_flow")})
    names = {"specific-power", "specific-power-loaded", "specific-energy", "dear-air-power"}
    assert {f.name for f in few.values()} == names
    everything = figures(gateway, {"a": points_of(kind)})
    assert {f.name for f in everything.found.values()} == set(kind.kpis)


def test_what_is_left_out_says_why() -> None:
    left = figures(plant(a={"type": "compressor"}), {"a": {"power": point("power")}}).left
    why = {one.kpi: one.why for one in left}
    assert why["specific-power"] == "'a' has no point 'flow' (volume_flow named flow or free_air_flow or volume_flow)"
    without = {one.kpi: one.why for one in figures(plant(a={"type": "pv"}), {"a": {"power": point("power")}}).left}
    assert without["specific-yield"] == (
        "'a' has no point 'energy' (energy_index named energy_export or energy); "
        "or 'a' does not state 'p_stc_kw' in its facts"
    )


def test_leaks_are_only_told_where_the_site_has_hours_off() -> None:
    points = points_of(TYPES["compressor"])
    assert "a.leak-share" in found(plant(a={"type": "compressor"}), a=points)
    for shifts in ({}, {"day": {"start": "06:00", "end": "18:00"}, "night": {"start": "18:00", "end": "06:00"}}):
        assert "a.leak-share" not in found(plant(shifts, a={"type": "compressor"}), a=points)


@pytest.mark.parametrize(("kpis", "names"), [("none", set()), (["unload-share"], {"unload-share"})])
def test_figures_can_be_chosen(kpis: Any, names: set[str]) -> None:
    gateway = plant(a={"type": "compressor", "kpis": kpis})
    assert {f.name for f in found(gateway, a=points_of(TYPES["compressor"])).values()} == names


def test_a_meter_has_figures_only_where_asked_but_for_its_nights() -> None:
    points = points_of(TYPES["meter"])
    assert set(found(plant(a={"type": "meter"}), a=points)) == {"a.night-load"}
    assert found(plant(shifts={}, a={"type": "meter"}), a=points) == {}
    assert set(found(plant(a={"type": "meter", "kpis": ["base-load"]}), a=points)) == {"a.base-load"}


def test_a_point_of_another_name_can_play_a_part() -> None:
    points = {"power": point("power"), "fad": point("volume_flow")}
    assert "a.specific-power" in found(plant(a={"type": "compressor", "roles": {"flow": "fad"}}), a=points)


def test_a_station_is_the_sum_of_its_machines() -> None:
    machine = {"power": point("power"), "flow": point("volume_flow"), "state": point("state")}
    assets = {"a": {"type": "compressor"}, "b": {"type": "compressor"}}
    gateway = plant(**assets, station={"type": "compressor_station", "members": ["a", "b"]})
    station = found(gateway, a=machine, b=machine)["station.specific-power"]
    for key in ("a.power.power", "b.power.power", "a.flow.volume_flow", "b.flow.volume_flow"):
        assert key in str(station.plan)
    missing = {name: p for name, p in machine.items() if name != "flow"}
    assert "station.specific-power" not in found(gateway, a=machine, b=missing)  # half a sum is no sum


def test_a_plants_pumps_take_power_and_cool_nothing() -> None:
    assets = {"a": {"type": "chiller"}, "b": {"type": "pump"}}
    gateway = plant(**assets, p={"type": "chiller_plant", "members": ["a", "b"]})
    cop = found(gateway, a=points_of(TYPES["chiller"]), b={"power": point("power")})["p.plant-cop"]
    assert "b.power.power" in str(cop.plan)


# ── grades ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("row", list(csv.DictReader(GB19153.open())), ids=lambda r: "-".join(list(r.values())[:4]))
def test_compressors_are_graded_by_gb_19153(row: dict[str, str]) -> None:
    """Every row of a separate excerpt of the standard; one with a blank limit is never graded."""
    facts: dict[str, float | str] = {
        "drive": row["drive"],
        "cooling": row["cooling"],
        "rated_power_kw": float(row["rated_power_kw"]),
        "discharge_gauge_mpa": float(row["discharge_gauge_mpa"]),
    }
    limits = [row[name] for name in ("grade1_kw_per_m3min", "grade2", "grade3_limit")]
    found_ = grading("gb19153_2019", facts)
    assert found_.limits == (tuple(map(float, limits)) if all(limits) else None)
    assert found_.reason.why == ("graded" if found_.limits else "incomplete")


@pytest.mark.parametrize(
    ("standard", "facts", "limits"),
    [
        ("gb19577_2024", WATER_COOLED | {"index": "COPc", "cooling_kw": 528}, (5.8, 5.6, 5)),
        ("gb19577_2024", WATER_COOLED | {"index": "COPc", "cooling_kw": 529}, (6.2, 6, 5.4)),
        ("gb19577_2024", WATER_COOLED | {"index": "IPLV", "cooling_kw": 2000}, (8.5, 8.1, 6.3)),
        ("gb24500_2020", {"boiler": "gas_condensing"}, (103, 101, 98)),
        ("gb24500_2020", {"boiler": "biomass", "capacity_t_h": 10}, (88, 84, 80)),
        ("gb24500_2020", {"boiler": "biomass", "capacity_t_h": 12}, (91, 88, 86)),
        ("gb24500_2020", {"boiler": "electric"}, None),  # only grade 3 in our source
        ("gb18613_2020", {"rated_kw": 37}, (96.1, 95.2, 93.9)),
        ("gb18613_2020", {"rated_kw": 40}, None),
    ],
)  # fmt: skip
def test_published_rows(standard: str, facts: dict[str, Any], limits: tuple[float, ...] | None) -> None:
    assert grading(standard, facts).limits == limits


def test_a_size_that_is_not_listed_has_no_limit() -> None:
    facts: dict[str, float | str] = {
        "drive": "fixed_speed_oil_injected_rotary",
        "cooling": "air",
        "rated_power_kw": 60.0,
        "discharge_gauge_mpa": 0.7,
    }
    reason = grading("gb19153_2019", facts).reason
    assert (reason.why, reason.listed) == ("no_size", (55.0, 75.0))
    assert grading("gb19153_2019", {"drive": "fixed_speed_oil_injected_rotary"}).reason.why == "not_stated"
    assert grading("gb19153_2019", facts | {"drive": "centrifugal"}).reason.why == "no_table"


SCREW = {"drive": "variable_speed_oil_injected_rotary", "cooling": "air", "pressure_mpa": 0.7}
CHILLER = {"use": "data_centre", "condenser": "evaporative"}


@pytest.mark.parametrize(
    ("kind", "kpi", "facts", "words"),
    [
        ("compressor", "specific-power-loaded", SCREW | {"rated_kw": 75}, "no grade: the row of GB 19153-2019 for "
         "Drive: variable speed, oil-injected screw; Cooling: air; 75 kW; 0.7 MPa is not complete in our source"),
        ("compressor", "specific-power-loaded", SCREW | {"rated_kw": 60},
         "no grade: for Rated power GB 19153-2019 lists 55 kW, 75 kW, not 60 kW"),
        ("compressor", "specific-power-loaded", {"cooling": "air", "rated_kw": 55},
         "no grade by GB 19153-2019: not stated: Drive (drive), Rated pressure (pressure_mpa)"),
        ("chiller", "full-load-cop", CHILLER,
         "no grade: GB 19577-2024 has no table for Use: data centre; Condenser: evaporative; COPc"),
        ("boiler", "efficiency", {"boiler": "biomass"},
         "no grade by GB 24500-2020: not stated: Capacity (capacity_t_h)"),
        ("boiler", "efficiency", {"boiler": "biomass", "capacity_t_h": -1.0},
         "no grade: for Capacity GB 24500-2020 has no row with -1 t/h"),
    ],
)  # fmt: skip
def test_why_there_is_no_grade_is_told_in_plain_words(kind: str, kpi: str, facts: dict[str, Any], words: str) -> None:
    asset = Asset.model_validate({"type": kind, "facts": facts})
    grade = TYPES[kind].kpis[kpi].grade
    assert grade is not None
    assert grading_said(asset, grading_of(asset, grade)) == words


def test_a_measured_value_is_graded_with_the_tolerance_of_its_standard() -> None:
    """55 kW, 0.7 MPa, air: 6.0, 6.5, 7.2. Up to 7.2 · 1.05 = 7.56 it is not told as worse than the limit."""
    facts = {"drive": "fixed_speed_oil_injected_rotary", "cooling": "air", "pressure_mpa": 0.7, "rated_kw": 55.0}
    points = {"power": point("power"), "flow": point("volume_flow")}
    figure = found(plant(a={"type": "compressor", "facts": facts}), a=points)["a.specific-power-loaded"]
    assert figure.limits == (6.0, 6.5, 7.2)
    limits = Limits(figure.limits, *tolerance(figure))
    assert [limits.grade(v) for v in (5.0, 6.0, 6.1, 6.5, 7.0, 7.2, 7.55, 7.57)] == [1, 1, 2, 2, 3, 3, 3, 4]
    higher = Limits((96.0, 94.0, 92.0), higher=True)
    assert [higher.grade(v) for v in (97.0, 96.0, 95.0, 93.0, 92.0, 91.9)] == [1, 1, 2, 3, 3, 4]


def test_grades_stand_in_the_right_order_and_name_their_source() -> None:
    for standard in STANDARDS.values():
        with (Path(__file__).parents[2] / "config" / "grades" / standard.file).open() as file:
            rows = list(csv.DictReader(file))
        assert rows
        for row in rows:
            assert row["source"]
            known = [float(row[g]) for g in standard.grades if row[g]]
            assert known == sorted(known, reverse=standard.higher)
