"""Mistakes of units, of papers, registers and transformers: told before they are booked, or shown by the bill."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.entries import MICRO
from carbon.ledger import Ledger
from carbon.papers.documents import Documents
from carbon.papers.invoices import compare
from carbon.papers.manual import Account
from carbon.papers.register import Register
from config.errors import ConfigError
from config.load import load
from tests.carbon.papers import documents, enter, year_of
from tests.proof.booking import DAY_NS, HOUR_NS, at, booking, meter, refused

LOCATION = "main.electricity/2/purchased_electricity/location"


# ── papers ─────────────────────────────────────────────────────────────────────────────────────────

HEAD = "kind,asset,carrier,from,to,quantity,unit,celsius,kpa\n"
LINE = "genset.{carrier}/1/stationary_combustion/factor"
SAME = {
    "diesel": [("t", "1", "", ""), ("kg", "1000", "", "")],
    "natural_gas": [("m3", "1", "0", ""), ("万m3", "0.0001", "0", "101.325"), ("L", "1000", "0", "")],
}


@settings(max_examples=15)  # up to 100,000 t: more than any site uses is refused
@given(st.sampled_from(sorted(SAME)), st.integers(1, 10**8), st.data())
def test_the_same_thing_said_in_another_unit_is_the_same_entry(
    carrier: str, thousandths: int, data: st.DataObject
) -> None:
    (unit, one, celsius, kpa), *others = SAME[carrier]
    other = data.draw(st.sampled_from(others))
    quantity = Decimal(thousandths) / 1000
    found = []
    for unit_, per, celsius_, kpa_ in ((unit, one, celsius, kpa), other):
        said = f"{format((quantity * Decimal(per)).normalize(), 'f')},{unit_},{celsius_},{kpa_}"
        with tempfile.TemporaryDirectory() as folder:
            office = documents(Path(folder))
            enter(office, f"{HEAD}delivery,genset,{carrier},2025-01-01,2025-01-31,{said}")
            found.append(year_of(office, 2025, LINE.format(carrier=carrier)))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("delivery,genset,diesel,2025-01-01,2025-01-31,5,kW,,", "unit: 'kW' is neither a mass, a volume nor an energy"),
        ("delivery,genset,anthracite,2025-01-01,2025-01-31,5,m3,,", "unit: .*density is not known"),
        ("delivery,genset,diesel,2025-01-01,2025-01-31,5000,kWh,,", "unit: .*net or gross calorific"),
        ("delivery,genset,natural_gas,2025-01-01,2025-01-31,5,Nm3,0,", "unit: 'Nm3' does not say which normal state"),
        ("delivery,genset,natural_gas,2025-01-01,2025-01-31,5,m3,,", "celsius: .*needs the state it was counted in"),
        ("delivery,genset,diesel,2025-01-01,2025-01-31,5,t,20,", "celsius: goes with a volume of gas only"),
        ("delivery,genset,diesel,2025-01-01,2025-01-31,9000000,t,,", "quantity: .*more than any site uses"),
        ("delivery,genset,electricity,2025-01-01,2025-01-31,5,t,,", "unit: 't' cannot be converted to kWh"),
    ],
)  # fmt: skip
def test_units_that_cannot_be_meant_are_told_with_their_column(row: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        enter(documents(tmp_path), HEAD + row)


# ── a register declared in another unit ───────────────────────────────────────────────────────────

REGISTER = "{{quantity: energy_index, unit: {unit}, modbus: {{address: 0, type: uint32}}}}"
HOURS = 12


@pytest.mark.parametrize(
    ("declared", "rated", "booked_kwh"),
    [("kWh", True, 720), ("MWh", True, 0), ("MWh", False, 720_000), ("Wh", True, 0.72)],
)
async def test_a_register_of_kwh_declared_in_another_unit(
    declared: str, rated: bool, booked_kwh: float, tmp_path: Path
) -> None:
    """60 kWh an hour on a meter of a plant rated at 100 kW, for 12 hours: 720 kWh, as its supplier bills.

    Declared as MWh each reading is beyond what the plant can use: kept as doubtful, never counted. Where nobody says
    what the plant can use, and where the unit is too small, the bill shows it, a thousandfold beyond all error.
    """
    text = meter("UTC", "GB", point=REGISTER.format(unit=declared))
    text = text.replace("carrier: electricity", "carrier: electricity\n        rated_kw: 100") if rated else text
    start = at("UTC", 2025, 1, 1)
    async with booking(tmp_path, text, start) as account:
        for hour in range(HOURS + 1):
            await account.show("main.import.energy_index", start + hour * HOUR_NS, 60.0 * hour)
        await account.book(start + DAY_NS)
        known = load(tmp_path / "gateway.yaml")
        office = Documents(Account.of(known.gateway, known.templates), account.folder, lambda: start + 2 * DAY_NS)
        enter(
            office, "kind,asset,carrier,from,to,quantity,unit\ninvoice,main,electricity,2025-01-01,2025-01-01,720,kWh"
        )
        with Ledger.open(account.folder) as ledger:
            found = {line.key for line in ledger.lines.values()}
            (billed,) = compare(office.account, ledger, Register.of(ledger.documents()).in_force("invoice"))
        kwh = account.line(LOCATION).energy.sum() / MICRO if LOCATION in found else 0
    assert kwh == pytest.approx(booked_kwh)
    assert bool(billed.finding) == (booked_kwh != 720), billed


# ── transformers ──────────────────────────────────────────────────────────────────────────────────

BEHIND = """
version: 1
site: {{name: works, zone: Asia/Shanghai, region: CN-GD}}
accounting:
  meters: {{kwh-1: {{serial: S1, accuracy: 1, device: main.m, ct: {{ratio: 400/5}}, shows: {shows}}}}}
connections: {{floor: {{protocol: modbus}}}}
areas:
  hall:
    assets:
      main: {{type: meter, devices: {{m: {{connection: floor, address: 127.0.0.1:9/1, template: {template}}}}}}}
"""


@pytest.mark.parametrize(
    ("template", "right", "wrong"),
    [("acrel_adl400", "primary", "secondary"), ("acrel_dtsd1352", "secondary", "primary")],
)
def test_registers_before_and_behind_the_transformers(template: str, right: str, wrong: str, tmp_path: Path) -> None:
    """Acrel's ADL400 shows primary energy, its DTSD1352 what is behind the transformers: × 80 at 400/5, or not.

    Which of the two a meter shows is said in the register, and a template that knows better refuses the other.
    """
    path = tmp_path / "gateway.yaml"
    path.write_text(BEHIND.format(template=template, shows=right))
    load(path)
    assert f"template {template} shows" in refused(tmp_path, BEHIND.format(template=template, shows=wrong))


BY_HAND = """
version: 1
site: {{name: works, zone: Asia/Shanghai, region: CN-GD}}
accounting: {{meters: {{kwh-1: {{serial: S1, accuracy: 1, ct: {{ratio: 400/5}}, shows: {shows}}}}}}}
connections: {{}}
areas: {{hall: {{assets: {{a: {{type: meter}}}}}}}}
"""


@pytest.mark.parametrize(("shows", "kwh"), [("secondary", 80_000), ("primary", 1_000)])
def test_an_index_read_by_hand_behind_a_transformer(shows: str, kwh: float, tmp_path: Path) -> None:
    """1,000 kWh on the register of a meter behind 400/5 are 80,000 kWh, once."""
    office = documents(tmp_path, BY_HAND.format(shows=shows))
    rows = "index,a,electricity,2024-12-31,500,kWh,kwh-1\nindex,a,electricity,2025-01-31,1500,kWh,kwh-1"
    enter(office, f"kind,asset,carrier,to,quantity,unit,meter\n{rows}")
    assert year_of(office, 2025, "a.electricity/2/purchased_electricity/location")[0] == kwh * MICRO
