"""Ledgers of known content for the tests of the report: the steel year, and a plant with something of everything."""

from __future__ import annotations

import gzip
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import yaml

from carbon.compute import compute
from carbon.entries import MICRO, Activity, Line, MeterVersion
from carbon.factor import Factor, FactorSteps
from carbon.ledger import Ledger, Reason, Writing
from carbon.papers.register import Filed
from carbon.papers.rows import parse
from config.model import Gateway
from pipeline.factors import Provenance

STEEL = Path(__file__).parents[1] / "data/steel/steel_2018_15min.csv.gz"
QUARTER_NS = 900 * 10**9
HOUR_NS = 3600 * 10**9
NOW_NS = int(datetime(2026, 1, 20, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()) * 10**9
LIVE = Reason("live")


def ns(text: str, zone: str) -> int:
    """Return an instant of the zone's clock."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * 10**9


def factor(name: str, unit: str, kg: tuple[float, ...], kwh: float = 1.0, **more: object) -> Factor:
    """Return a factor of one publisher; `kg` by gas."""
    said = {"publisher": "MEE", "publication": "Announcement", "published_on": "2024-12-20", "data_year": 2023}
    variant = str(more.pop("variant", "exact"))
    provenance = Provenance(**said, gas="co2", source="a public notice", variant=variant)  # type: ignore[arg-type]
    full = (*kg, *(0.0,) * (5 - len(kg)))
    return Factor(name, unit, full, kwh, provenance, **more)  # type: ignore[arg-type]


def line(
    stream: str, area: str, kind: str, role: str, scope: int, category: str, method: str, unit: str = "kWh"
) -> Line:
    """Return a line of a stream named asset.carrier."""
    asset, carrier = stream.split(".")[:2]
    return Line(stream, asset, area, kind, carrier, unit, role, scope, category, method)  # type: ignore[arg-type]


def book(w: Writing, activity: Activity, of: Line, by: Factor, reason: Reason = LIVE, meter: int = -1) -> int:
    """Write the entries of one line and return their block."""
    return w.entries(compute(activity, w.line(of), FactorSteps.constant(by), w.factor, meter), reason)


def gateway(text: str) -> Gateway:
    """Return a configuration as it is written."""
    return Gateway.model_validate(yaml.safe_load(text))


_DEVICE = "{type: %s, carrier: %s%s, devices: {m: {connection: a, address: '1', points: {}, template: x}}}"


def _asset(kind: str, carrier: str, fed_by: str = "") -> str:
    return _DEVICE % (kind, carrier, f", fed_by: {fed_by}" if fed_by else "")


# ── a steel producer's year ───────────────────────────────────────────────────────────────────────

STEEL_SITE = gateway(f"""
version: 1
site: {{name: gwangyang, zone: Asia/Seoul, region: KR}}
accounting: {{organisation: {{name: Steel of Gwangyang, base_year: 2018}}}}
connections: {{}}
areas: {{works: {{assets: {{main: {_asset("meter", "electricity")}}}}}}}
""")


def steel(folder: Path, *, registered: bool = True) -> Ledger:
    """Return the ledger of the year 2018: 35,040 quarter hours at 0.4585 kg/kWh, both methods."""
    with gzip.open(STEEL, "rt") as file:
        kwh = [row.split(",")[1] for row in file][1:]
    mwh = np.array([round(float(value) * 1e6) for value in kwh])
    start = ns("2018-01-01", "Asia/Seoul") + QUARTER_NS * np.arange(len(mwh))
    activity = Activity.make(start, QUARTER_NS, np.zeros(len(mwh)), mwh)
    ledger = Ledger.open(folder, write=True, now_ns=lambda: NOW_NS)
    by = factor("kr-gir/KR/location_average/2021", "kWh", (0.4585,))
    with ledger.writing() as w:
        known = MeterVersion("M1", 1, "SN-1", 80.0, 0.01, "2017-01-01", "2019-01-01", about="class 1")
        meter = w.meter(known) if registered else -1
        for method in ("location", "market"):
            of = line("main.electricity", "works", "meter", "boundary", 2, "purchased_electricity", method)
            book(w, activity, of, by, meter=meter)
    return ledger


# ── a plant of everything ─────────────────────────────────────────────────────────────────────────

EVIL = '<script>alert("x")</script>'
PLANT_SITE = gateway(f"""
version: 1
site: {{name: dongguan-1, zone: Asia/Shanghai, region: CN-GD}}
accounting:
  organisation:
    {{name: 'Dongguan Precision Castings Co., Ltd. {EVIL}', base_year: 2023, responsible: '=HYPERLINK("x") 李雷 🏭'}}
connections: {{}}
areas:
  supply: {{assets: {{main-meter: {_asset("meter", "electricity")}, pv-1: {_asset("pv", "solar", "main-meter")}}}}}
  utilities:
    assets:
      compressor-1: {_asset("compressor", "electricity", "main-meter")}
      chiller-1: {_asset("chiller", "electricity", "main-meter")}
      pump-1: {_asset("pump", "electricity", "chiller-1")}
  melting: {{assets: {{furnace-1: {_asset("furnace", "natural_gas")}}}}}
""")

GRID = factor("mee-nbs/CN-GD/location_average/2023", "kWh", (0.4403,), uncertainty=0.05)
RESIDUAL = factor("mee-nbs/CN-GD/ex_market/2023", "kWh", (0.6096,), variant="fallback")
GREEN = factor("contract/wind-ppa/2025", "kWh", (0.0,))
GAS = factor("ndrc-24/natural_gas", "m3", (2.1622, 0.0011, 0.0010), 10.81, gwp="AR5")
WOOD = factor("ipcc-2006/wood", "t", (0.0, 13.1, 16.5), 4333.0, biogenic=1747.2, gwp="AR5")
REFRIGERANT = factor("ipcc-ar5/r410a", "kg", (0.0, 0.0, 0.0, 1923.5), 0.0, gwp="AR5")
NOTHING = factor("own/solar", "kWh", (0.0,))
LOSSES = factor("desnz/GB/td/2025", "kWh", (0.0, 0.0, 0.0, 0.0, 0.01853))
MEAN_KWH = {"main-meter": 1900, "compressor-1": 820, "chiller-1": 610, "pump-1": 90, "pv-1": 240}
PLACES = {"main-meter": "supply", "pv-1": "supply"}


def _days(zone: str, year: int) -> tuple[np.ndarray, np.ndarray]:
    """Return start and length of each local day."""
    edges = [ns(str(day)[:10], zone) for day in np.arange(f"{year}-01-01", f"{year + 1}-01-02", dtype="M8[D]")]
    return np.array(edges[:-1]), np.diff(edges)


def _amounts(kwh_an_hour: float, seed: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    season = 1 + 0.25 * np.sin(np.linspace(-np.pi / 2, 1.5 * np.pi, size))
    return np.rint(kwh_an_hour * 24 * season * rng.uniform(0.8, 1.2, size) * MICRO).astype(np.int64)


def plant(folder: Path) -> Ledger:
    """Return the ledger of a plant's year 2025 by days: all scopes, parts, own power, a restated month."""
    start, span = _days("Asia/Shanghai", 2025)
    ledger = Ledger.open(folder, write=True, now_ns=lambda: NOW_NS)
    with ledger.writing() as w:
        meter = w.meter(MeterVersion("grid-meter", 1, "SN-2207", 80.0, 0.007, "2022-01-10", "2025-01-10", about="0.5S"))
        for seed, (asset, kwh) in enumerate(MEAN_KWH.items()):
            amount = _amounts(kwh, seed, len(start))
            kind = "estimated" if asset == "chiller-1" else "substituted"
            much = {kind: np.where(np.arange(len(start)) % 12 == 0, amount, 0)} if asset != "main-meter" else {}
            _power(w, asset, Activity.make(start, span, np.zeros(len(start)), amount, **much), meter)
        _fuels(w, start, span)
        row = {"kind": "delivery", "carrier": "wood", "from": "2025-03-01", "to": "2025-03-30", "quantity": "12.5",
               "unit": "t", "asset": "furnace-1", "document_number": "+86", "note": "@SUM(A1) " + EVIL}  # fmt: skip
        document = parse(row, lambda column, message: None)
        assert document is not None
        w.document(Filed(0, document, "9f86d081" * 8, "march.csv:2", "=cmd|'/c calc'!A1", "韩梅梅").to_json())
    _restated(ledger, start, span)
    return ledger


def _power(w: Writing, asset: str, activity: Activity, meter: int) -> None:
    area, stream = PLACES.get(asset, "utilities"), f"{asset}.electricity"
    if asset == "pv-1":
        book(w, activity, line("pv-1.solar", area, "pv", "own", 1, "own_generation", "factor"), NOTHING)
        export = Activity.make(activity.start_ns, activity.span_ns, activity.stream, activity.amount // 10)
        out = line("main-meter.electricity.export", area, "meter", "export", 0, "exported_electricity", "none")
        book(w, export, out, NOTHING)
        return
    role = "boundary" if asset == "main-meter" else "breakdown"
    kind = asset.split("-")[0] if role == "breakdown" else "meter"
    number = meter if asset == "main-meter" else -1
    book(w, activity, line(stream, area, kind, role, 2, "purchased_electricity", "location"), GRID, meter=number)
    market = line(stream, area, kind, role, 2, "purchased_electricity", "market")
    green = activity.take(np.arange(len(activity)) % 3 == 0)
    rest = activity.take(np.arange(len(activity)) % 3 != 0)
    for part, by in ((green, GREEN), (rest, RESIDUAL)):
        book(w, part, market, by, meter=number)
    book(w, activity, line(stream, area, kind, role, 3, "td_losses", "location"), LOSSES, meter=number)


def _fuels(w: Writing, start: np.ndarray, span: np.ndarray) -> None:
    gas = Activity.make(start, span, np.zeros(len(start)), _amounts(160, 9, len(start)))
    of = line("furnace-1.natural_gas", "melting", "furnace", "boundary", 1, "stationary_combustion", "factor", "m3")
    book(w, gas, of, GAS)
    quarters = np.array([0, 90, 181, 273])
    manual = Reason("manual", "delivery notes", "li.lei", "han.meimei")
    wood = Activity.make(start[quarters], 30 * 24 * HOUR_NS, np.zeros(4), np.array([12.5, 13, 9, 14.25]) * MICRO)
    of = line("furnace-1.wood", "melting", "furnace", "boundary", 1, "stationary_combustion", "factor", "t")
    book(w, wood, of, WOOD, manual)
    leak = Activity.make(start[quarters[:1]], 24 * HOUR_NS, [0], [int(4.2 * MICRO)])
    of = line("chiller-1.refrigerant", "utilities", "chiller", "boundary", 1, "fugitive", "factor", "kg")
    book(w, leak, of, REFRIGERANT, manual)


def _restated(ledger: Ledger, start: np.ndarray, span: np.ndarray) -> None:
    """Correct the gas of March: the meter had counted a quarter too little."""
    march = slice(59, 90)
    gas = _amounts(160, 9, len(start))[march] * 5 // 4
    of = line("furnace-1.natural_gas", "melting", "furnace", "boundary", 1, "stationary_combustion", "factor", "m3")
    reason = Reason("restatement", "ratio typed as 400/5, is 500/5", "li.lei", "han.meimei", "activity")
    with ledger.writing() as w:
        book(w, Activity.make(start[march], span[march], np.zeros(len(gas)), gas), of, GAS, reason)
