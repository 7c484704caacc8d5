"""Certificates and contracts with what differs from a plain one; hours, and what they cover and emit."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from carbon.factor import Factor, FactorSteps
from carbon.market.allocation import Allocation, Instruments, edges
from carbon.market.blend import instrument_factors, market_steps
from carbon.market.certificates import Certificate
from config.accounting import Contract
from pipeline.factors import Provenance

MWH = 1_000_000_000  # [mWh]
HOUR = 3_600_000_000_000
CHINA, SPAIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Madrid")
MEE = Provenance("MEE+NBS", "公告2025年", 2023, "2025-12-31", "co2", "https://www.mee.gov.cn")
EX_MARKET = FactorSteps.constant(Factor("mee-nbs/CN/ex_market/2023", "kWh", (0.6096, 0, 0, 0, 0), 1.0, MEE))


def hours(year: int, month: int, count: int, zone: ZoneInfo = CHINA) -> np.ndarray:
    first = int(datetime(year, month, 1, tzinfo=zone).timestamp()) * 1_000_000_000
    return first + np.arange(count, dtype=np.int64) * HOUR


def gec(id: str = "gec-1", **changed: Any) -> Certificate:
    said: dict[str, Any] = {
        "id": id, "kind": "GEC", "market": "CN", "technology": "wind", "produced": "2025-03", "mwh": 600,
        "first_id": f"{id}-00001", "cancelled": date(2026, 1, 20), "cancelled_for": "Factory",
    }  # fmt: skip
    said |= changed
    return Certificate.model_validate({"last_id": f"{id}-{int(said['mwh']):05d}"} | said)


def contract(**changed: Any) -> Contract:
    said = {"supplier": "Wind farm", "kg_per_kwh": 0, "valid_from": date(2025, 1, 1), "valid_to": date(2025, 12, 31)}
    return Contract.model_validate(said | changed)


def covered(got: Allocation, id: str) -> np.ndarray:
    (found,) = (amounts for name, amounts in got.covered.items() if name.startswith(f"{id} "))
    return found


def factors_of(start_ns: np.ndarray, got: Allocation, instruments: Instruments, *, hourly: bool = False) -> FactorSteps:
    cuts = edges(start_ns, instruments.contracts, CHINA, hourly=hourly)
    return market_steps(start_ns, got, cuts, EX_MARKET, instrument_factors(instruments), CHINA)


def emitted(start_ns: np.ndarray, amount: np.ndarray, found: FactorSteps) -> np.ndarray:
    return amount * np.array([f.total for f in found.factors])[found.at(start_ns)]
