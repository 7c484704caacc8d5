"""What the user writes of the account: its rules, market instruments, tariff, virtual meters and organisation."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.meters import Meter
from config.processes import Process
from config.strict import Name, Strict

Share = Annotated[float, Field(gt=0, le=1)]


class Contract(Strict):
    """Electricity bought by contract with its attributes: a green-power trade, a PPA, a supplier's own rate."""

    supplier: str
    kg_per_kwh: Annotated[float, Field(ge=0, lt=5)]
    valid_from: date
    valid_to: date
    share: Share | None = None  # of what is bought
    mwh_per_month: Annotated[float, Field(gt=0)] | None = None
    document: str = ""  # number or hash of the contract

    @model_validator(mode="after")
    def _amount(self) -> Self:
        if (self.share is None) == (self.mwh_per_month is None):
            raise ValueError("say how much: exactly one of share: or mwh_per_month:")
        if self.valid_from > self.valid_to:
            raise ValueError("valid_from must not be later than valid_to")
        return self


class Market(Strict):
    """The market-based method: what uncovered electricity is multiplied by, and what is contracted.

    Certificates are entered as documents. `uncovered` is a kind of grid factor; where the region has none the
    location average serves as a disclosed fallback.
    """

    uncovered: Literal["residual_mix", "ex_market", "location_average"] = "residual_mix"
    contracts: dict[Name, Contract] = {}
    # What of a certificate's month is left over covers the rest of its calendar year, or nothing.
    vintage: Literal["year", "month"] = "year"
    hourly: bool = False  # certificates count only in the hour they were produced in
    # Certificates of the site's own generation that were sold to others, by month of production, e.g. {"2025-03": 52}.
    sold_mwh: dict[Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")], Annotated[float, Field(gt=0)]] = {}


class VirtualMeter(Strict):
    """A meter nobody installed: the sum of some streams (asset.carrier) less others, or a share of that."""

    asset: Name  # it is booked on
    carrier: Name = "electricity"
    plus: Annotated[tuple[str, ...], Field(min_length=1)]
    minus: tuple[str, ...] = ()
    share: Share = 1.0


class Organisation(Strict):
    """Who reports, and within which boundary."""

    name: str = ""
    boundary: Literal["operational control", "financial control", "equity share"] = "operational control"
    base_year: Annotated[int, Field(ge=1990, le=2100)] | None = None
    responsible: str = ""


class Accounting(Strict):
    """How the account is kept."""

    interval: Literal["60min", "30min", "15min"] = "60min"  # of its entries; no factor may change within one
    grace_s: Annotated[float, Field(ge=1, le=86_400)] = 300.0  # how long an interval waits for late readings
    gwp: Literal["AR4", "AR5", "AR6"] = "AR5"
    fuels: str = "ndrc-24"  # which publisher's set of fuel factors; `tanflow factors list` names them
    other_fuels: dict[Name, str] = {}  # carriers taken from another set, e.g. {lng: desnz-2025}
    market: Market = Market()
    upstream: bool = True  # scope 3 category 3: losses of the grid, and what fuels and power took to arrive
    meters: dict[Name, Meter] = {}
    virtual: dict[Name, VirtualMeter] = {}
    process: dict[Name, Process] = {}
    tariff: Name | Path | None = None  # shipped name (config/tariffs) or a file
    organisation: Organisation = Organisation()

    def fuel_set(self, carrier: str) -> str:
        """Return the set a carrier's factor is taken from."""
        return self.other_fuels.get(carrier, self.fuels)
