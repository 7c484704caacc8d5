"""From configuration to series: what each kind of device becomes, and that no two series write one field."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from config.bindings import bind
from config.components import components
from config.errors import GatewayError
from config.load import load
from config.model import Gateway
from config.quantities import AMOUNT_OF
from config.templates import Templates
from pipeline.compile import compile_plan
from pipeline.series import SeriesTable
from pipeline.spec import Kind, Spec
from tests.pipeline.plans import meter, plan_of, specs

ROOT = Path(__file__).parents[2]


def factory() -> dict[str, Spec]:
    loaded = load(ROOT / "simulators" / "factory.yaml")
    plan = compile_plan(loaded.gateway, bind(loaded.gateway, loaded.templates))
    return {s.key: s for s in plan.specs}


@pytest.mark.parametrize(
    ("powers", "prefix", "whole"),
    [
        (("power_l1", "power_l2", "power_l3", "power"), "", "power"),  # Eastron SDM630: phases first
        (("dc_power", "power"), "", "power"),  # an inverter
        (("power_l1", "power_l2", "power_l3", "power"), "ctl-", "ctl-power"),
        (("power_l1", "power_l2", "power_l3", "p_total"), "", "p_total"),
        (("power_l1",), "", "power_l1"),
        (("power_l1", "power_l2", "power_l3"), "", ""),
    ],
)
@pytest.mark.parametrize("energy", ["auto", "integrate"])
def test_one_phase_is_never_taken_for_the_whole_power(
    powers: tuple[str, ...], prefix: str, whole: str, energy: str
) -> None:
    device = meter(*powers, quantity="power", unit="kW") | {"prefix": prefix}
    found = specs({"a": {"type": "meter", "energy": energy, "devices": {"m": device}}})
    rates = {key for key in found if key.endswith(".co2e_rate")}
    amounts = {key for key in found if key.endswith(".energy")}
    assert rates == ({f"a.{whole}.co2e_rate"} if whole else set())
    assert amounts == ({f"a.{whole}.energy"} if whole else set())


@pytest.mark.parametrize("template", ["eastron_sdm630", "acrel_adl400", "schneider_pm5000", "siemens_pac3200"])
def test_a_three_phase_meter_shows_the_rate_of_all_its_phases(template: str) -> None:
    device = {"connection": "floor", "address": "127.0.0.1/1", "template": template}
    values = {
        "version": 1,
        "site": {"name": "s", "region": "DE"},
        "connections": {"floor": {"protocol": "modbus"}},
        "areas": {"hall": {"assets": {"a": {"type": "meter", "rated_kw": 250, "devices": {"m": device}}}}},
    }
    gateway = Gateway.model_validate(values)
    plan = compile_plan(gateway, bind(gateway, Templates({})))
    assert [s.key for s in plan.specs if s.like.quantity == "co2e_rate"] == ["a.power.co2e_rate"]


def test_a_register_meter_becomes_energy_carbon_and_a_rate() -> None:
    found = factory()
    place = {
        "site": "dongguan-1",
        "area": "utilities",
        "asset": "compressor-1",
        "asset_type": "compressor",
        "device": "meter",
    }
    index = found["compressor-1.energy_import.energy_index"]
    assert (index.like.kind, index.like.measurement, index.like.field) == (
        Kind.COUNTER,
        "energy",
        "energy_import_index_kwh",
    )
    assert dict(index.tags) == place | {"carrier": "electricity"}
    assert index.amount == "compressor-1.energy_import.energy"
    energy = found[index.amount]
    assert (energy.like.kind, energy.like.measurement, energy.like.field) == (Kind.DELTA, "energy", "energy_kwh")
    assert dict(energy.tags) == place | {"carrier": "electricity"}
    ((carbon_key, timeline),) = energy.products
    carbon = found[carbon_key]
    assert (carbon.like.kind, carbon.like.measurement, carbon.like.field) == (Kind.DELTA, "emissions", "co2e_kg")
    assert dict(carbon.tags) == place | {"carrier": "electricity", "scope": "2", "method": "location"}
    power = found["compressor-1.power.power"]
    assert (power.like.kind, power.like.field, power.like.mul, power.like.div) == (Kind.GAUGE, "power_kw", 1.0, 1000.0)
    assert power.products == (("compressor-1.power.co2e_rate", timeline),)
    assert power.amount == ""  # the register counts, so power is not integrated
    assert found["compressor-1.meter-gap.gap"].like.field == "gap_cause"
    assert [s.like.stratum for s in (index, energy, carbon, power)] == [0, 1, 1, 0]


def test_import_is_accounted_and_export_is_only_measured() -> None:
    found = factory()
    assert found["main-meter.energy_import.energy"].like.field == "energy_kwh"
    export = found["main-meter.energy_export.energy"]
    assert (export.like.field, export.products) == ("energy_export_kwh", ())
    assert "main-meter.energy_export.co2e" not in found


def test_power_alone_is_integrated() -> None:
    found = factory()
    power = found["chiller-1.power.power"]
    assert (power.amount, power.like.max_hold_ns) == ("chiller-1.power.energy", 300_000_000_000)
    assert found["chiller-1.power.energy"].like.field == "energy_kwh"
    assert dict(found["chiller-1.power.co2e"].tags)["scope"] == "2"
    assert found["chiller-1.controller-gap.gap"].like.connection == "plc"
    assert {k.split(".")[2] for k, s in found.items() if k.startswith("chiller-1") and s.like.connection == "plc"} == {
        "temperature",
        "volume_flow",
        "gap",
    }


def test_a_generator_is_accounted_by_what_it_exports() -> None:
    found = factory()
    index = found["pv-1.energy_export.energy_index"]
    assert (index.like.max_rate, found[index.amount].like.field) == (600.0, "energy_kwh")
    assert math.isnan(index.like.modulus)
    assert index.like.period_ns == 0  # messages come when they come
    assert dict(found["pv-1.energy_export.co2e"].tags)["carrier"] == "solar"


def test_gas_becomes_energy_and_scope_1_at_its_reference() -> None:
    found = factory()
    volume = found["furnace-1.volume.volume"]
    assert (volume.like.measurement, volume.like.field) == ("process", "volume_m3")
    assert [key for key, _ in volume.products] == ["furnace-1.volume.co2e", "furnace-1.volume.energy"]
    assert (found["furnace-1.volume.energy"].like.field, found["furnace-1.volume.energy"].like.unit) == (
        "energy_kwh",
        "kWh",
    )
    carbon = dict(found["furnace-1.volume.co2e"].tags)
    assert (carbon["scope"], carbon["method"], carbon["carrier"]) == ("1", "factor", "natural_gas")
    mass = found["furnace-1.mass.mass_index"]
    assert (mass.amount, found[mass.amount].products) == ("furnace-1.mass.mass", ())


def test_windows_alerts_and_the_gateway_itself_have_series() -> None:
    found = factory()
    window = found["furnace-1.furnace-intensity.energy_intensity"]
    assert (window.like.measurement, window.like.field, window.like.stratum) == ("kpi", "energy_intensity_kwh_t", 2)
    assert found["furnace-1.furnace-intensity.completeness"].like.field == "completeness"
    alert = found["furnace-1.furnace-intensity-high.alert"]
    assert (alert.like.measurement, alert.like.field, alert.like.stratum) == ("alert", "alert_state", 3)
    assert dict(alert.tags)["severity"] == "warning"
    assert found["gateway.tick.tick"].like.connection == "gateway"
    parts = components(load(ROOT / "simulators" / "factory.yaml").gateway)
    for part in parts:
        key = f"gateway.{part.replace('.', '-')}-delivered.health"
        assert dict(found[key].tags)["device"] == part


@pytest.mark.parametrize("path", [ROOT / "simulators" / "factory.yaml", *sorted((ROOT / "examples").glob("*.yaml"))])
def test_no_two_series_of_one_place_share_a_field(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.secrets.read", lambda _: "secret")
    loaded = load(path)
    plan = compile_plan(loaded.gateway, bind(loaded.gateway, loaded.templates))
    places = Counter((s.like.measurement, s.tags, s.like.field) for s in plan.specs)
    assert [place for place, count in places.items() if count > 1] == []
    assert max(Counter(s.key for s in plan.specs).values()) == 1
    accounts = Counter(
        (dict(s.tags)["asset"], dict(s.tags)["carrier"])
        for s in plan.specs
        if s.like.field == "energy_kwh" and s.like.stratum == 1
    )
    assert set(accounts.values()) <= {1}


def test_one_carrier_of_an_asset_is_accounted_once_however_many_meters_it_has() -> None:
    found = specs({"a": {"type": "other", "devices": {"m": meter("energy_import"), "n": meter("energy_check")}}})
    assert found["a.energy_import.energy"].like.field == "energy_kwh"
    assert (found["a.energy_check.energy"].like.field, found["a.energy_check.energy"].products) == (
        "energy_check_kwh",
        (),
    )


def test_two_carriers_of_an_asset_are_two_accounts() -> None:
    gas = {"carrier": "natural_gas", "reference": {"celsius": 0}}
    found = specs(
        {
            "a": {
                "type": "furnace",
                "devices": {"m": meter("energy"), "g": meter("volume", quantity="volume_index", unit="m3", **gas)},
            }
        }
    )
    accounts = {(dict(s.tags)["carrier"], s.key) for s in found.values() if s.like.field == "energy_kwh"}
    assert accounts == {("electricity", "a.energy.energy"), ("natural_gas", "a.volume.energy")}


def test_two_carriers_in_one_device_are_two_accounts() -> None:
    """A furnace's controller that shows its gas meter and its electricity meter."""
    device = meter("energy")
    gas = {"carrier": "natural_gas", "reference": {"celsius": 0}}
    device["points"] |= meter("volume", quantity="volume_index", unit="m3", **gas)["points"]
    found = specs({"a": {"type": "furnace", "devices": {"m": device}}})
    accounts = {(dict(s.tags)["carrier"], s.key) for s in found.values() if s.like.field == "energy_kwh"}
    assert accounts == {("electricity", "a.energy.energy"), ("natural_gas", "a.volume.energy")}


def test_a_prefix_keeps_two_like_devices_apart() -> None:
    devices = {"m": meter("energy"), "n": meter("energy") | {"prefix": "spare_"}}
    found = specs({"a": {"type": "other", "devices": devices}})
    assert found["a.spare_energy.energy_index"].like.field == "spare_energy_index_kwh"
    assert dict(found["a.spare_energy.energy_index"].tags)["device"] == "n"
    assert found["a.energy.energy"].like.field == "energy_kwh"


def test_an_asset_without_account_is_measured_and_no_more() -> None:
    found = specs({"a": {"type": "other", "energy": "none", "devices": {"m": meter("energy")}}})
    assert found["a.energy.energy"].products == ()
    assert not [s for s in found.values() if s.like.measurement == "emissions"]


def test_a_window_over_energy_nothing_computes_is_a_sentence() -> None:
    """Two gas meters of one furnace: by the first it is accounted, the second is only a volume."""
    gas = {"carrier": "natural_gas", "reference": {"celsius": 0}}
    device = meter("first", "second", quantity="volume_index", unit="m3", **gas)
    device["points"] |= meter("mass", quantity="mass_index", unit="t")["points"]
    assets = {"f": {"type": "furnace", "devices": {"m": device}}}
    window = {"type": "energy_intensity", "product": "f.mass"}
    assert "f.w.energy_intensity" in specs(assets, windows={"w": window | {"energy": ["f.first"]}})
    with pytest.raises(GatewayError, match=r"windows\.w: no kWh follow from 'f\.second'; name the point"):
        plan_of(assets, windows={"w": window | {"energy": ["f.second"]}})


@pytest.mark.parametrize("carrier", ["heat", "steam", "cooling", "compressed_air", "none", "product", "solar"])
def test_every_carrier_can_be_metered(carrier: str) -> None:
    found = specs({"a": {"type": "other", "carrier": carrier, "devices": {"m": meter("energy")}}})
    assert found["a.energy.energy"].like.field == "energy_kwh"
    assert bool(found["a.energy.energy"].products) == (carrier in ("heat", "steam", "solar"))


@pytest.mark.parametrize(
    ("carrier", "quantity", "unit", "known", "kg", "kwh"),
    [
        # 43.33 GJ/t · 0.0202 · 0.98 · 44/12 = 3.14512 t/t and 12,036.1 kWh/t; at 830.565 kg/m³
        ("diesel", "mass_index", "kg", {}, 3145.12, 12036.1),
        ("diesel", "volume_index", "l", {}, 3145.12 * 0.830565, 12036.1 * 0.830565),
        # 37.69 GJ/10⁴ Nm³ · 0.0708 · 0.99 · 44/12 = 0.968648 kg/Nm³
        ("blast_furnace_gas", "volume_index", "m3", {"reference": {"celsius": 0}}, 0.968648, 3.769 / 3.6),
        ("bituminous", "mass_index", "t", {}, 2071.51, 23.204 / 0.0036),
        ("natural_gas", "energy_index", "kWh", {"calorific": "net"}, 0.0036 * 55.539, None),
        ("steam", "energy_index", "GJ", {}, 0.396, None),
    ],
)
def test_every_fuel_is_converted_as_it_is_counted(
    carrier: str, quantity: str, unit: str, known: dict[str, Any], kg: float, kwh: float | None
) -> None:
    assets = {
        "a": {"type": "boiler", "carrier": carrier, "devices": {"m": meter("c", quantity=quantity, unit=unit, **known)}}
    }
    plan = plan_of(assets)
    found = {s.key: s for s in plan.specs}
    amount = AMOUNT_OF[quantity]
    products = dict(found[f"a.c.{amount}"].products)
    assert plan.factors[products["a.c.co2e"]].value[0] == pytest.approx(kg, rel=1e-5)
    assert dict(found["a.c.co2e"].tags)["scope"] == ("2" if carrier == "steam" else "1")
    assert ("a.c.energy" in products) == (kwh is not None)
    if kwh is not None:
        assert plan.factors[products["a.c.energy"]].value[0] == pytest.approx(kwh, rel=1e-5)


def test_the_set_and_the_potentials_are_the_accounts() -> None:
    """IPCC 2006, diesel at AR4: 43 · (74.1 + 3 · 25/1000 + 0.6 · 298/1000) = 3197.213 kg/t."""
    assets = {
        "a": {"type": "boiler", "carrier": "diesel", "devices": {"m": meter("c", quantity="mass_index", unit="t")}}
    }
    plan = plan_of(assets, accounting={"fuels": "ipcc-2006", "gwp": "AR4"})
    (timeline,) = (f for name, f in plan.factors.items() if name == "diesel per t")
    assert timeline.value[0] == pytest.approx(43 * (74.1 + 0.075 + 0.1788))
    assert timeline.provenance[0].publisher == "IPCC"


def test_what_a_gas_burner_makes_is_no_fuel() -> None:
    """A mass beside a gas burner is its product, unless the point says that it is the fuel."""
    device = meter("m", quantity="mass_index", unit="t")
    found = specs({"a": {"type": "furnace", "carrier": "natural_gas", "devices": {"d": device}}})
    assert found["a.m.mass"].products == ()


def test_a_plan_survives_its_way_to_disk_and_back() -> None:
    loaded = load(ROOT / "simulators" / "factory.yaml")
    plan = compile_plan(loaded.gateway, bind(loaded.gateway, loaded.templates))
    table = SeriesTable(3, plan.specs, {s.key: n for n, s in enumerate(plan.specs, 7)}, plan.factors)
    again = SeriesTable.unpack(3, table.pack())
    assert again.digest == table.digest
    assert again.ids == table.ids
    assert [f.name for f in again.factors] == [f.name for f in table.factors]
