"""An invoice and a meter agree within their combined error, or the difference is shown."""

from __future__ import annotations

from math import hypot
from pathlib import Path

import numpy as np
import pytest

from carbon.compute import compute
from carbon.entries import Activity, MeterVersion
from carbon.ledger import Ledger, Reason
from carbon.papers.documents import Documents, Person
from carbon.papers.invoices import Comparison, compare
from carbon.papers.register import Register
from config.errors import ConfigError
from tests.carbon.papers import CONFIG, documents, enter, local_ns

METERED = CONFIG.replace("connections: {}", "connections: {floor: {protocol: modbus}}").replace(
    "furnace-1: {type: furnace, carrier: natural_gas}",
    """furnace-1:
        type: furnace
        carrier: natural_gas
        devices:
          gas:
            connection: floor
            address: 127.0.0.1:9/1
            points:
              volume: {quantity: volume_index, unit: m3, reference: {celsius: 20}, modbus: {address: 0, type: float32}}
      main:
        type: meter
        devices:
          meter:
            connection: floor
            address: 127.0.0.1:9/2
            points:
              energy: {quantity: energy_index, unit: kWh, modbus: {address: 0, type: float32}}""",
)
HOUR_NS = 3_600_000_000_000
HEAD = "kind,asset,carrier,from,to,quantity,unit,celsius,uncertainty_pct"
METER = MeterVersion("main-1", 1, "S1", 80.0, uncertainty=0.01)


def book(to: Documents, stream: str, hours: int, each: int, meter: MeterVersion | None = METER) -> None:
    """Book hours of March 2025 as an accountant would [1e-6 unit each]."""
    start = local_ns(to, 2025, 3, 1) + HOUR_NS * np.arange(hours, dtype=np.int64)
    activity = Activity.make(start, np.full(hours, HOUR_NS), np.zeros(hours), each)
    with Ledger.open(to.data, write=True) as ledger, ledger.writing() as writing:
        for line, steps in to.account.rules(to.account.streams[stream]):
            number = -1 if meter is None else writing.meter(meter)
            entries = compute(activity, writing.line(line), steps, writing.factor, number)
            writing.entries(entries, Reason("live"))


def compared(to: Documents) -> list[Comparison]:
    with Ledger.open(to.data) as ledger:
        return compare(to.account, ledger, Register.of(ledger.documents()).in_force("invoice"))


@pytest.fixture
def office(tmp_path: Path) -> Documents:
    return documents(tmp_path, METERED)


def test_within_the_combined_error_and_beyond_it(office: Documents) -> None:
    # The meter, class 1, counted 744 h · 100 kWh = 74,400 kWh: ± 744 kWh, all year long the same error. An invoice of
    # 75,000 kWh is ± 0.5 % = 375 kWh: √(744² + 375²) = 833.15 kWh. 600 kWh less agree; 900 kWh less than 75,300 do not.
    book(office, "main.electricity", 744, 100_000_000)
    enter(office, f"{HEAD}\ninvoice,main,electricity,2025-03-01,2025-03-31,75000,kWh,,\n"
                  "invoice,site,electricity,2025-03-01,2025-03-31,75.3,MWh,,")  # fmt: skip
    agrees, differs = compared(office)
    assert (agrees.invoiced, agrees.metered, agrees.difference) == (75_000, 74_400, -600)
    assert agrees.error == pytest.approx(hypot(744, 375))
    assert (agrees.covered, agrees.finding) == (1.0, "")
    assert differs.stream == "site.electricity"
    assert differs.finding.startswith("metered 1.20 % less than invoiced, beyond the combined error of 833.")


def test_an_invoice_may_state_its_own_error(office: Documents) -> None:
    book(office, "main.electricity", 744, 100_000_000)
    enter(office, f"{HEAD}\ninvoice,main,electricity,2025-03-01,2025-03-31,75300,kWh,,2")
    (found,) = compared(office)
    assert found.error == pytest.approx(hypot(744, 1506))
    assert found.finding == ""


def test_gas_is_compared_in_the_state_the_meter_counts_in(office: Documents) -> None:
    # 100,000 m³ at 0 °C are 100,000 · 293.15/273.15 = 107,321.98 m³ at 20 °C.
    book(office, "furnace-1.natural_gas", 744, 144_250_000)
    enter(office, f"{HEAD}\ninvoice,furnace-1,natural_gas,2025-03-01,2025-03-31,100000,m3,0,")
    (found,) = compared(office)
    assert found.invoiced == pytest.approx(107_321.98, abs=0.01)
    assert found.finding == ""


def test_what_the_meters_missed_and_what_nobody_registered_is_said(office: Documents) -> None:
    book(office, "main.electricity", 372, 100_000_000, meter=None)
    enter(office, f"{HEAD}\ninvoice,main,electricity,2025-03-01,2025-03-31,75000,kWh,,\n"
                  "invoice,main,electricity,2025-04-01,2025-04-30,75000,kWh,,")  # fmt: skip
    half, none = compared(office)
    assert half.covered == pytest.approx(0.5)
    assert "the meters cover 50.0 % of the period; a meter's uncertainty is not in the register" in half.finding
    assert none.finding == "nothing was metered in this period"


def test_what_is_metered_is_not_delivered(office: Documents) -> None:
    with pytest.raises(ConfigError, match=r"main\.electricity is metered by main\.meter and would count twice"):
        enter(office, f"{HEAD}\ndelivery,main,electricity,2025-03-01,2025-03-31,75000,kWh,,")


def test_an_invoice_is_never_booked_and_waits_like_any_other(office: Documents) -> None:
    row = f"{HEAD}\ninvoice,main,electricity,2025-03-01,2025-03-31,75000,kWh,,"
    assert enter(office, row, Person("Ann")).pending
    assert compared(office) == []
    assert office.approve([1], "Bo").entries == 0
    assert len(compared(office)) == 1


def test_an_invoice_is_held_against_a_meter_read_by_hand(office: Documents) -> None:
    head = "kind,asset,carrier,from,to,quantity,unit"
    enter(
        office, f"{head}\nindex,genset,electricity,,2025-02-28,1000,kWh\nindex,genset,electricity,,2025-03-31,2000,kWh"
    )
    enter(office, f"{head}\ninvoice,genset,electricity,2025-03-01,2025-03-31,1002,kWh", Person("Ann"))
    office.approve([row.seq for row in office.register().pending()], "Bo")
    (found,) = compared(office)
    assert (found.metered, found.finding) == (1000, "")


def test_a_laboratory_speaks_for_what_meters_have_counted(office: Documents) -> None:
    # 744 h · 100 m³ at 20 °C · 36 MJ/m³ = 2,678.4 GJ, 24 of them on 1 March: 86.4 GJ; 0.0153 tC/GJ · 0.99 · 44/12 =
    # 0.055539 t/GJ: 4.79857 t on that day; the other 30 days by the default of 38.931 MJ/m³ at 0 °C, as booked.
    book(office, "furnace-1.natural_gas", 744, 100_000_000)
    head = "kind,asset,carrier,from,to,ncv,unit,celsius,replaces"
    row = "lab,site,natural_gas,2025-03-01,2025-03-01"
    entered = enter(office, f"{head}\n{row},36,MJ/m3,20,")
    assert entered.entries == 24
    edges = [local_ns(office, 2025, 3, 1), local_ns(office, 2025, 3, 2), local_ns(office, 2025, 4, 1)]

    def days() -> list[int]:
        with Ledger.open(office.data) as ledger:
            sums = ledger.sums(edges)
            return [int(sums.co2e[sums.period == period].sum()) for period in (0, 1)]

    first, others = days()
    assert first == pytest.approx(4_798_570_000, rel=1e-6)
    assert others == pytest.approx(30 * 24 * 100 * 273.15 / 293.15 * 2.162188809e6, rel=1e-6)
    enter(office, f"{head}\n{row},18,MJ/m3,20,{entered.filed[0].seq}")
    assert days() == [pytest.approx(first / 2, abs=24), others]
