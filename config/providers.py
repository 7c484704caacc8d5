"""What the user writes of live grid factors: who says the carbon intensity of the grid, and how that is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, StringConstraints, model_validator

from config.strict import Secret, Strict

SECOND_NS: Final = 1_000_000_000
_KEYS: Final = re.compile(r"key|token|secret|pass|auth|sign", re.IGNORECASE)
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Every = Annotated[float, Field(ge=300, le=86_400)]  # they publish by the half hour or hour: asking more often is rude
# A path into JSON: names and list positions with dots between, e.g. data.0.intensity; "" is the whole.
Pointer = Annotated[str, StringConstraints(pattern=r"^([^.\s]+(\.[^.\s]+)*)?$")]


class Asked(Strict):
    """How a provider is reached: over TLS that is verified, following no redirect."""

    url: Url
    every_s: Every = 1_800.0
    # Steps this old are asked for again: an estimate or forecast is replaced by the figure it stood for.
    look_back_h: Annotated[int, Field(ge=1, le=240)] = 48
    timeout_s: Annotated[float, Field(ge=0.5, le=120)] = 10.0  # for the whole answer
    proxy: Url | None = None  # without user and password
    ca: Path | None = None  # authorities to trust instead of the system's
    token: Secret | None = None

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        for name in ("url", "proxy"):
            url = getattr(self, name)
            parts = urlsplit(url) if url else None
            if parts and "@" in parts.netloc:
                raise ValueError(f"no user or password in {name}:, it is shown and logged; use token:")
            if parts and any(_KEYS.search(key) for key, _ in parse_qsl(parts.query, keep_blank_values=True)):
                raise ValueError(f"no key in {name}:, it is shown and logged; use token:, which is sent as a header")
        where = urlsplit(self.url)
        if self.token and where.scheme != "https" and where.hostname not in LOOPBACK:
            raise ValueError("the token would go over the network in the clear; use https")
        return self


class ElectricityMaps(Asked):
    """Electricity Maps: hourly, flow-traced, direct (operational) intensity of a zone; asks for a token."""

    provider: Literal["electricity_maps"]
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]+)*$")]  # e.g. ES, US-CAL-CISO
    url: Url = "https://api.electricitymaps.com"
    every_s: Every = 900.0
    look_back_h: Annotated[int, Field(ge=1, le=240)] = 24  # up to 24 is `history`, open to every token

    @model_validator(mode="after")
    def _authorised(self) -> Self:
        if self.token is None:
            raise ValueError("Electricity Maps answers only with a token; add token: {env: ELECTRICITY_MAPS_TOKEN}")
        return self

    @property
    def step_ns(self) -> int:
        return 3_600 * SECOND_NS


class UkCarbonIntensity(Asked):
    """NESO's Carbon Intensity API for Great Britain: half hours, forecast first and then what was; no token."""

    provider: Literal["uk_carbon_intensity"]
    url: Url = "https://api.carbonintensity.org.uk"
    regionid: Annotated[int, Field(ge=1, le=17)] | None = None  # one of its regions, for which it only forecasts

    @property
    def zone(self) -> str:
        return "GB" if self.regionid is None else f"GB-{self.regionid}"

    @property
    def step_ns(self) -> int:
        return 1_800 * SECOND_NS


class HttpJson(Asked):
    """Any other service that answers with JSON: where in it the steps stand, and what they are."""

    provider: Literal["http_json"]
    url: Url  # {start} and {end} become the instants asked for, e.g. 2025-01-31T14:00:00Z
    publisher: Text
    publication: Text
    zone: Text
    every_s: Annotated[float, Field(ge=60, le=86_400)] = 1_800.0
    gas: Literal["co2", "co2e"]
    unit: Literal["g/kWh", "kg/kWh", "kg/MWh"]
    step: Literal["5min", "15min", "30min", "60min"] = "60min"
    stamps: Literal["start", "end"] = "start"  # which end of its step a time names
    items: Pointer = ""  # the list of steps in the answer
    time: Pointer  # in each step: ISO 8601 with an offset, or seconds since 1970
    value: Pointer  # null where nothing is known yet
    estimated: Pointer = ""  # true or false in each step; none: all are what was measured
    zone_at: Pointer = ""  # where the answer names the zone it is about
    token_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] = "Authorization"
    token_prefix: str = "Bearer"  # goes before the token, with a space

    @property
    def step_ns(self) -> int:
        return int(self.step.removesuffix("min")) * 60 * SECOND_NS


LiveProvider = Annotated[ElectricityMaps | UkCarbonIntensity | HttpJson, Field(discriminator="provider")]
