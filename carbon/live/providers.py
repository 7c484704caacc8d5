"""What a live provider is asked, and its answer → steps of grid intensity with their grades; nothing is sent here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol
from urllib.parse import urlencode

import orjson

from carbon.live.json_paths import Unreadable, at, get, instant, iso, items, number, same
from carbon.live.steps import HOUR_NS, Grade, Step
from config import secrets
from config.providers import ElectricityMaps, HttpJson, LiveProvider, UkCarbonIntensity
from pipeline.batch import Reject

_RAW_BYTES: Final = 2_000  # of what is refused, kept
_DIRECT: Final = "Electricity Maps, flow-traced, direct emission factors"
_PER_KWH: Final = {"g/kWh": 1e3, "kg/MWh": 1e3, "kg/kWh": 1.0}


class Ask(NamedTuple):
    """One request: GET this address with these headers."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """Who speaks, and of what: goes into the provenance of each factor made of it."""

    provider: str
    zone: str
    publisher: str
    publication: str
    gas: Literal["co2", "co2e"]
    source: str  # the address, without anything secret
    step_ns: int


class Provider(Protocol):
    """One service: what it is asked for a stretch of time, and what its answer says."""

    said: Said
    reach_ns: int  # how far back one request may go

    def ask(self, start_ns: int, end_ns: int) -> Ask:
        """Return the request for the steps in [start, end); raises GatewayError for a missing secret."""

    def steps(self, answer: Any) -> Iterator[Step | Reject]:
        """Yield the steps of a parsed answer, and what cannot be one; raises Unreadable."""


def provider(config: LiveProvider) -> Provider:
    """Return the client of the provider a configuration names."""
    if isinstance(config, ElectricityMaps):
        return _ElectricityMaps(config)
    if isinstance(config, UkCarbonIntensity):
        return _UkCarbonIntensity(config)
    return _HttpJson(config)


def read(client: Provider, body: bytes) -> list[Step | Reject]:
    """Return all that the body of an answer says; raises Unreadable."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"is not JSON ({error})") from None
    return list(client.steps(answer))


@dataclass(slots=True)
class _ElectricityMaps:
    """`GET /v3/carbon-intensity/history` (24 h) or `/past-range` (10 days by the hour), header `auth-token`.

    → {zone, history or data: [{carbonIntensity gCO₂eq/kWh, datetime, isEstimated, emissionFactorType}]}. Without
    `emissionFactorType=direct` it answers life-cycle figures, which are no factor of scope 2.
    Source: Electricity Maps API reference, carbon intensity, https://app.electricitymaps.com/developer-hub/api
    """

    config: ElectricityMaps
    said: Said = field(init=False)
    reach_ns: int = field(init=False)

    def __post_init__(self) -> None:
        c = self.config
        self.said = Said(c.provider, c.zone, "electricity-maps", _DIRECT, "co2e", c.url, c.step_ns)
        self.reach_ns = (24 if c.look_back_h <= 24 else 240) * HOUR_NS

    def ask(self, start_ns: int, end_ns: int) -> Ask:
        assert self.config.token is not None  # the model asks for it
        query = {"zone": self.config.zone, "emissionFactorType": "direct", "temporalGranularity": "hourly"}
        what = "history"
        if self.config.look_back_h > 24:
            what = "past-range"
            query |= {"start": iso(start_ns), "end": iso(end_ns)}
        url = f"{self.config.url.rstrip('/')}/v3/carbon-intensity/{what}?{urlencode(query)}"
        return Ask(url, {"auth-token": secrets.read(self.config.token)})

    def steps(self, answer: Any) -> Iterator[Step | Reject]:
        same(at(answer, "zone"), self.config.zone)
        for item in items(answer.get("history", answer.get("data"))):
            try:
                kind = item.get("emissionFactorType", get(answer, "emissionFactorType"))
                if kind != "direct":
                    raise Unreadable(f"has the emission factors {kind!r}, not 'direct'")
                value = number(item.get("carbonIntensity"))
                if value is not None:
                    grade: Grade = "estimated" if item.get("isEstimated") else "actual"
                    yield Step(instant(item.get("datetime")), self.said.step_ns, value / 1e3, grade)
            except Unreadable as error:
                yield _reject(item, str(error))


@dataclass(slots=True)
class _UkCarbonIntensity:
    """`GET /intensity/{from}/{to}` or `/regional/intensity/{from}/{to}/regionid/{id}`, at most 14 days.

    → {data: [{from, to, intensity: {forecast, actual gCO₂/kWh}}]}; of a region {data: {regionid, data: [...]}}, which
    has no `actual`. Times are UTC. Licence CC BY 4.0.
    Source: NESO, Carbon Intensity API definitions, https://carbon-intensity.github.io/api-definitions/
    """

    config: UkCarbonIntensity
    said: Said = field(init=False)
    reach_ns: int = 14 * 24 * HOUR_NS

    def __post_init__(self) -> None:
        c = self.config
        self.said = Said(c.provider, c.zone, "neso", "NESO Carbon Intensity API", "co2", c.url, c.step_ns)

    def ask(self, start_ns: int, end_ns: int) -> Ask:
        between = f"intensity/{iso(start_ns)[:16]}Z/{iso(end_ns)[:16]}Z"
        region = self.config.regionid
        path = between if region is None else f"regional/{between}/regionid/{region}"
        return Ask(f"{self.config.url.rstrip('/')}/{path}", {})

    def steps(self, answer: Any) -> Iterator[Step | Reject]:
        data = at(answer, "data")
        if self.config.regionid is not None:
            data = data[0] if isinstance(data, list) and len(data) == 1 else data
            same(at(data, "regionid"), self.config.regionid)
            data = at(data, "data")
        for item in items(data):
            try:
                yield from self._step(item)
            except Unreadable as error:
                yield _reject(item, str(error))

    def _step(self, item: Any) -> Iterator[Step]:
        start, end = instant(at(item, "from")), instant(at(item, "to"))
        actual, forecast = (number(get(item, f"intensity.{which}")) for which in ("actual", "forecast"))
        value = forecast if actual is None else actual
        if value is not None:
            yield Step(start, end - start, value / 1e3, "forecast" if actual is None else "actual")


@dataclass(slots=True)
class _HttpJson:
    """Any address that answers with JSON, read by the paths of the configuration."""

    config: HttpJson
    said: Said = field(init=False)
    reach_ns: int = field(init=False)

    def __post_init__(self) -> None:
        c = self.config
        self.said = Said(c.provider, c.zone, c.publisher, c.publication, c.gas, c.url, c.step_ns)
        self.reach_ns = (14 * 24 if "{start}" in c.url else c.look_back_h) * HOUR_NS

    def ask(self, start_ns: int, end_ns: int) -> Ask:
        c = self.config
        url = c.url.replace("{start}", iso(start_ns)).replace("{end}", iso(end_ns))
        secret = f"{c.token_prefix} {secrets.read(c.token)}".strip() if c.token else ""
        return Ask(url, {c.token_header: secret} if secret else {})

    def steps(self, answer: Any) -> Iterator[Step | Reject]:
        c = self.config
        if c.zone_at:
            same(at(answer, c.zone_at), c.zone)
        found = at(answer, c.items)
        for item in items(found if isinstance(found, list) else [found]):
            try:
                value = number(at(item, c.value))
                if value is not None:
                    start = instant(at(item, c.time)) - (c.step_ns if c.stamps == "end" else 0)
                    yield Step(start, c.step_ns, value / _PER_KWH[c.unit], self._grade(item))
            except Unreadable as error:
                yield _reject(item, str(error))

    def _grade(self, item: Any) -> Grade:
        said = at(item, self.config.estimated) if self.config.estimated else False
        if not isinstance(said, bool):
            raise Unreadable(f"has {said!r} at {self.config.estimated}, which is not true or false")
        return "estimated" if said else "actual"


def _reject(item: Any, reason: str) -> Reject:
    return Reject("answer", reason, orjson.dumps(item)[:_RAW_BYTES])
