"""What people enter, of whichever kind, stands in the ledger exactly; its sheet is kept."""

from __future__ import annotations

import calendar
import stat
from datetime import date
from pathlib import Path

import pytest

from carbon.ledger import Ledger, verify
from carbon.papers import evidence
from carbon.papers.sheets import read_sheet
from config.errors import ConfigError
from pipeline.quality import MANUAL
from tests.carbon.papers import BOTH, CONFIG, DIESEL, GAS, HEAD, documents, enter, xlsx, year_of

R410A = "chiller-1.R410A/1/fugitive/factor"


def the_year() -> list[list[object]]:
    """Papers of 2025: diesel and gas by the month, one report of a laboratory, one stock of refrigerant."""
    head = "kind,asset,carrier,from,to,quantity,unit,celsius,opening,bought,closing,ncv"
    rows: list[list[object]] = [[*head.split(",")]]
    for month in range(1, 13):
        first, last = date(2025, month, 1), date(2025, month, calendar.monthrange(2025, month)[1])
        rows.append(["delivery", "genset", "diesel", first, last, 2.5, "t", *[None] * 5])
        rows.append(["delivery", "furnace-1", "natural_gas", first, last, 31000, "m3", 20, *[None] * 4])
    rows.append(["lab", "genset", "diesel", date(2025, 3, 1), date(2025, 3, 31), None, "GJ/t", *[None] * 4, 42.9])
    stock = [date(2025, 1, 1), date(2025, 12, 31), None, "kg", None, 40, 10, 45.5, None]
    rows.append(["stock", "chiller-1", "R-410A", *stock])
    return rows


def as_csv(rows: list[list[object]]) -> bytes:
    return "\n".join(",".join("" if cell is None else str(cell) for cell in row) for row in rows).encode()


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_year_of_scope_1_without_any_meter(form: str, tmp_path: Path) -> None:
    # By hand. Factors: NDRC guidelines of 24 industries, default tables (set ndrc-24), CO₂ = NCV · C · oxid. · 44/12;
    # potentials: IPCC AR5; R-410A = ½ HFC-32 (677) + ½ HFC-125 (3170) = 1923.5.
    #
    # diesel   43.33 GJ/t · 0.0202 tC/GJ · 0.98 · 44/12 = 3.145122493 t/t; 11 months · 2.5 t        = 86.490868567 t
    # diesel   March by the laboratory: 42.9 GJ/t → 3.113910800 t/t · 2.5 t                          =  7.784777000 t
    # gas      31,000 m³ at 20 °C = 31,000 · 273.15/293.15 = 28,885.041787 m³ at 0 °C, 101.325 kPa
    #          0.038931 GJ/m³ · 0.0153 tC/GJ · 0.99 · 44/12 = 2.162188809 kg/m³; 12 · 62.454914 t    = 749.458968 t
    # R-410A   40 + 10 − 45.5 = 4.5 kg lost · 1923.5                                                =  8.655750000 t
    office = documents(tmp_path)
    content = as_csv(the_year()) if form == "csv" else xlsx(the_year())
    entered = office.enter(read_sheet(f"year.{form}", content), content, BOTH)
    assert (len(entered.filed), entered.entries) == (26, 36)

    amount, co2e = year_of(office, 2025, DIESEL)
    assert amount == 30_000_000
    assert co2e == 11 * 7_862_806_233 + 7_784_777_000
    amount, co2e = year_of(office, 2025, GAS)
    assert amount == 12 * 28_885_041_787
    assert co2e == pytest.approx(12 * 28_885_041_787 * 2.162188809, abs=12)
    amount, co2e = year_of(office, 2025, R410A)
    assert amount == 4_500_000
    assert co2e == pytest.approx(8_655_750_000, abs=12)  # twelve months, each rounded once
    assert year_of(office, 2024, GAS) == year_of(office, 2026, GAS) == (0, 0)

    with Ledger.open(office.data) as ledger:
        assert all(bool((part.quality & MANUAL).all()) for part in ledger.read())
        laboratory = [f for f in ledger.factors.values() if f.id.endswith("+lab")]
        assert [f.kwh for f in laboratory] == [pytest.approx(42.9 / 0.0036)]
        assert "42.9 GJ/t" in laboratory[0].provenance.publication
        assert all(f.provenance.source for f in ledger.factors.values())
    assert not verify(office.data).problems


def test_the_sheet_is_kept_under_its_hash_and_for_nobody_else(tmp_path: Path) -> None:
    office = documents(tmp_path)
    content = as_csv(the_year())
    entered = office.enter(read_sheet("year.csv", content), content, BOTH)
    kept = office.data / evidence.FOLDER / entered.filed[0].evidence
    assert kept.read_bytes() == content
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_a_meter_read_by_hand_counts_from_one_reading_to_the_next(tmp_path: Path) -> None:
    office = documents(tmp_path)
    head = "kind,asset,carrier,to,quantity,unit,replaces"
    enter(office, f"{head}\nindex,genset,electricity,2024-12-31,1000,kWh,\n"
                  "index,genset,electricity,2025-01-31,1310,kWh,\n"
                  "index,genset,electricity,2025-02-28,1.59,MWh,")  # fmt: skip
    line = "genset.electricity/2/purchased_electricity/location"
    assert year_of(office, 2025, line)[0] == 590_000_000
    with pytest.raises(ConfigError, match="an index counts up"):
        enter(office, f"{head}\nindex,genset,electricity,2025-03-31,1500,kWh,")
    with pytest.raises(ConfigError, match="a reading of the same day; give replaces: 2"):
        enter(office, f"{head}\nindex,genset,electricity,2025-01-31,1300,kWh,")
    enter(office, f"{head}\nindex,genset,electricity,2025-02-28,1600,kWh,3")
    assert year_of(office, 2025, line)[0] == 600_000_000
    with pytest.raises(ConfigError, match="both would count twice"):
        enter(office, f"{HEAD}\ndelivery,genset,electricity,2025-05-01,2025-05-31,100,kWh,,")


def test_production_and_what_belongs_to_the_whole_site(tmp_path: Path) -> None:
    office = documents(tmp_path)
    enter(office, f"{HEAD}\nproduction,line-1,,2025-03-01,2025-03-31,1200000,kg,,\n"
                  "delivery,site,diesel,2025-03-05,2025-03-05,500,L,,")  # fmt: skip
    assert year_of(office, 2025, "line-1.product/0/memo/none") == (1_200_000_000, 0)
    assert year_of(office, 2025, "site.diesel/1/stationary_combustion/factor")[0] == 500_000  # 0.5 m³


def test_a_meter_of_the_register_brings_its_ratio_and_its_error(tmp_path: Path) -> None:
    # 310 kWh behind a transformer of 400/5 are 310 · 80 = 24,800 kWh; class 1 and 0.5 make ±√1.25 %.
    register = """
accounting:
  meters:
    kwh-1: {serial: S1, accuracy: 1, ct: {ratio: 400/5, accuracy: 0.5}, shows: secondary}
"""
    office = documents(tmp_path, CONFIG + register)
    head = "kind,asset,carrier,to,quantity,unit,meter"
    enter(office, f"{head}\nindex,genset,electricity,2024-12-31,1000,kWh,kwh-1\n"
                  "index,genset,electricity,2025-01-31,1310,kWh,kwh-1")  # fmt: skip
    assert year_of(office, 2025, "genset.electricity/2/purchased_electricity/location")[0] == 24_800_000_000
    with Ledger.open(office.data) as ledger:
        (meter,) = ledger.meters.values()
        assert (meter.meter, meter.serial) == ("kwh-1", "S1")
        assert meter.uncertainty == pytest.approx(1.25**0.5 / 100)
    with pytest.raises(ConfigError, match="meter: there is no meter 'kwh-2' in the register; did you mean 'kwh-1'"):
        enter(office, f"{head}\nindex,genset,electricity,2025-02-28,1400,kWh,kwh-2")


def test_a_heat_value_is_of_the_unit_its_fuel_is_kept_in(tmp_path: Path) -> None:
    # 31,000 m³ · 33 MJ/m³, both at 20 °C, are 1,023 GJ, in whichever state the account keeps the volume;
    # times 0.0153 tC/GJ · 0.99 · 44/12 = 0.055539 t/GJ are 56.816397 t.
    office = documents(tmp_path)
    enter(office, f"{HEAD},celsius\ndelivery,furnace-1,natural_gas,2025-01-01,2025-01-31,31000,m3,,,20")
    head = "kind,asset,carrier,from,to,ncv,unit,celsius"
    row = "lab,furnace-1,natural_gas,2025-01-01,2025-01-31"
    for said, expected in (
        ("48,GJ/t,", r"unit: furnace-1\.natural_gas is kept in m3; give the heat value per m3"),
        ("33,MJ/m3,", "celsius: the calorific value of a gas per m3 needs the state"),
        ("33000,GJ/m3,20", "ncv: .* no fuel has that"),
        ("33,MJ,20", "unit: 'MJ' is not a heat value"),
    ):
        with pytest.raises(ConfigError, match=expected):
            enter(office, f"{head}\n{row},{said}")
    enter(office, f"{head}\n{row},33,MJ/m3,20")
    assert year_of(office, 2025, GAS)[1] == pytest.approx(56_816_397_000, abs=10)
    with pytest.raises(ConfigError, match="unit: "):  # and the other way round: a mass after a heat value per m³
        enter(office, f"{HEAD}\ndelivery,furnace-1,natural_gas,2025-02-01,2025-02-28,3,t,,")


CERTIFICATE = "kind,scheme,market,technology,production_month,mwh,cancelled_on,first_id,last_id"


def test_certificates_are_kept_and_never_twice(tmp_path: Path) -> None:
    office = documents(tmp_path)
    row = "certificate,GEC,CN,wind,2025-03,100,2025-06-01,GEC0001,GEC0100"
    assert enter(office, f"{CERTIFICATE}\n{row}").entries == 0
    assert [r.document.kind for r in office.register().in_force()] == ["certificate"]
    wrong = row.replace("GEC0100", "GEC0101"), row.replace("2025-06-01", "2025-01-01"), row
    with pytest.raises(ConfigError) as refused:
        enter(office, "\n".join([CERTIFICATE, *wrong]))
    said = [str(p) for p in refused.value.problems]
    assert "hold 101 certificates of 1 MWh, but mwh says 100" in said[0]
    assert "sheet.csv:3: cancelled_on: 2025-01-01 lies before" in said[1]
    assert "was entered already" in said[-1]
