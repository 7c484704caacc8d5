"""What the user writes as a whole: gateway.yaml, the plant, and what is computed, kept and delivered."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema, field_validator, model_validator

from config.accounting import Accounting
from config.alerts import Rule
from config.connections import Connection
from config.factor_series import FactorSeries
from config.notify import Notify
from config.points import Carrier, DeviceMap, Point
from config.providers import LOOPBACK, LiveProvider
from config.strict import Name, Period, Seconds, Secret, Strict
from config.windows import Window

AssetType = Literal[
    "meter", "compressor", "compressor_station", "furnace", "chiller", "chiller_plant", "boiler", "pump", "fan",
    "motor", "pv", "storage", "vehicle_charger", "building", "data_hall", "production_line", "other",
]  # fmt: skip

# ── the plant ─────────────────────────────────────────────────────────────────────────────────────


class Device(Strict):
    """A meter or controller: a connection, its address there, and a template and/or points of its own."""

    connection: Name
    address: str = ""
    template: str | None = None
    every_s: Period | None = None
    prefix: str = ""  # put before point names where two devices of one asset share them
    only: tuple[Name, ...] | None = None  # of the template's points; default all
    points: dict[Name, Point] = {}

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        if self.template is None and not self.points:
            raise ValueError("a device needs 'template:' or 'points:'")
        if self.only is not None and self.template is None:
            raise ValueError("'only' chooses among a template's points; there is no template")
        return self


class Asset(Strict):
    """A machine, meter or building energy is accounted for."""

    type: AssetType
    carrier: Carrier = "electricity"
    fed_by: Name | None = None  # asset whose meter already counts what this one takes: never counted twice
    rated_kw: Annotated[float, Field(ge=0.001)] | None = None
    bought: bool = False  # a by-product gas that comes from outside: its carbon is not that of coal counted here
    # Energy from registers where a device has them, else by integrating power; or say which.
    energy: Literal["auto", "counter", "integrate", "none"] = "auto"
    max_hold_s: Seconds = 300.0  # longest step between power samples that is integrated
    # What its type asks for and no device shows: sizes, drive, area …; which point plays a part under another name;
    # which figures it gets; the machines a station or plant is made of.
    facts: dict[Name, float | str] = {}
    roles: dict[Name, Name] = {}
    kpis: Literal["auto", "none"] | tuple[Name, ...] = "auto"
    alerts: Literal["auto", "none"] | tuple[Name, ...] = "auto"  # which of those its type brings
    members: tuple[Name, ...] = ()
    devices: dict[Name, Device] = {}  # none: what people enter of it is all there is


class Area(Strict):
    assets: dict[Name, Asset]


def _time_as_text(value: Any) -> Any:
    if not isinstance(value, str | time):  # a number would be taken for seconds
        raise ValueError('must be a time of day in quotes, e.g. "08:00"')
    return value


TimeOfDay = Annotated[
    time, BeforeValidator(_time_as_text), WithJsonSchema({"type": "string", "pattern": r"^\d{2}:\d{2}(:\d{2})?$"})
]


class Shift(Strict):
    """Hours that count as one shift, in the site's zone; may run over midnight."""

    start: TimeOfDay
    end: TimeOfDay


class Site(Strict):
    name: Name
    zone: str = "UTC"
    region: str  # of the grid factor, e.g. CN-GD
    shifts: dict[Name, Shift] = {}

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"'{zone}' is not an IANA time zone; write e.g. Asia/Shanghai") from error
        return zone


# ── what is computed, kept and delivered ──────────────────────────────────────────────────────────


class Factors(Strict):
    """How an emission factor is chosen; a fallback is always flagged on the row."""

    rule: Literal["latest_published", "same_year"] = "latest_published"
    kind: Literal["location_average"] = "location_average"
    publishers: tuple[str, ...] = ()  # of several that know a region and kind, the first named here is followed
    tables: tuple[Path, ...] = ()  # further CSV or YAML files of grid or fuel factors, in the form of config/factors
    series: tuple[FactorSeries, ...] = ()  # hourly or quarter-hour factors; the tables serve where these have gaps
    live: LiveProvider | None = None  # asked as it goes; what it leaves out counts by the others, flagged


class Keep(Strict):
    """How much a remote sink may be behind before its oldest rows are given up (counted and recorded)."""

    max_age_h: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    max_mb: Annotated[float, Field(gt=0, le=1_000_000_000)] | None = 2_048


def _is_server(url: str) -> bool:
    try:
        at = urlsplit(url)
        return bool(at.hostname) and at.port != 0 and not at.query and not at.fragment
    except ValueError:  # a port that is no number, half an IPv6 address
        return False


class InfluxSink(Strict):
    """InfluxDB 1.x (`/write`) or 2.x (`/api/v2/write`)."""

    type: Literal["influxdb"]
    api: Literal["v1", "v2"]
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
    database: str | None = None
    retention_policy: str | None = None
    org: str | None = None
    bucket: str | None = None
    token: Secret | None = None
    username: str | None = None
    password: Secret | None = None
    gzip: bool | None = None  # default: what leaves this machine
    timeout_s: Annotated[float, Field(ge=0.5, le=120)] = 10.0
    batch_rows: Annotated[int, Field(ge=100, le=200_000)] = 20_000
    backoff_max_s: Seconds = 60.0
    keep: Keep = Keep()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.api == "v1" and not self.database:
            raise ValueError("api v1 needs 'database:'")
        if self.api == "v2" and not (self.org and self.bucket and self.token):
            raise ValueError("api v2 needs 'org:', 'bucket:' and 'token:'")
        if "@" in self.url.partition("//")[2].partition("/")[0]:
            raise ValueError("no user or password in the url; use username: and password:")
        if not _is_server(self.url):
            raise ValueError("the url is that of the server alone, with a port from 1 to 65535: http://10.0.0.5:8086")
        return self

    @property
    def packs(self) -> bool:
        """Whether requests are compressed; on the way to this machine itself that would only cost processor time."""
        return urlsplit(self.url).hostname not in LOOPBACK if self.gzip is None else self.gzip


class History(Strict):
    """The embedded history: Parquet files of raw rows and roll-ups."""

    cut_s: Seconds = 300.0
    cut_rows: Annotated[int, Field(ge=1_000, le=5_000_000)] = 1_200_000
    raw_days: Annotated[int, Field(ge=1, le=100_000)] = 92
    rollup_days: Annotated[int, Field(ge=1, le=100_000)] = 3_660


class Data(Strict):
    """The data directory: log, history, state. One gateway owns it."""

    dir: Path = Path("data")
    commit_ms: Annotated[int, Field(ge=10, le=10_000)] = 250
    snapshot_s: Seconds = 60.0
    min_free_mb: Annotated[int, Field(ge=16, le=1_000_000_000)] = 256  # below this nothing more is accepted
    ballast_mb: Annotated[int, Field(ge=1, le=1024)] = 16
    history: History = History()

    @field_validator("dir", mode="before")
    @classmethod
    def _named(cls, folder: object) -> object:
        if isinstance(folder, str) and not folder.strip():
            raise ValueError("names no folder; leave it out for 'data' beside this file")
        return folder


HostName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", max_length=253)]


class ServerTls(Strict):
    """What the gateway shows who reaches it by https; `tanflow certs server` makes both."""

    certificate: Path  # PEM: its own, then those of the authorities in between
    key: Path  # PEM, without a password


class Api(Strict):
    """The local page and API; anywhere but loopback it asks for a token and speaks TLS only."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_800
    token: Secret | None = None
    tls: ServerTls | None = None
    names: tuple[HostName, ...] = ()  # other names it is reached by on loopback: a TLS proxy's

    @property
    def loopback(self) -> bool:
        return self.host in LOOPBACK

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        asked = {"token: {file: …}": self.token, "tls: {certificate: …, key: …}": self.tls}
        missing = [words for words, given in asked.items() if given is None]
        if missing and not self.loopback:
            raise ValueError(
                f"listening on {self.host} would let the network in unasked or in the clear; add "
                f"{' and '.join(missing)} (tanflow certs server makes a certificate), or use 127.0.0.1"
            )
        return self


class Gateway(Strict):
    """gateway.yaml."""

    version: Literal[1]
    site: Site
    data: Data = Data()
    api: Api | None = Api()
    factors: Factors = Factors()
    accounting: Accounting = Accounting()
    templates: dict[Name, DeviceMap] = {}  # the plant's own, beside the shipped ones
    connections: dict[Name, Connection]
    areas: dict[Name, Area]
    sinks: dict[Name, InfluxSink] = {}
    windows: dict[Name, Window] = {}
    alerts: dict[Name, Rule] = {}
    notify: Notify = Notify()

    def dump(self) -> dict[str, Any]:
        """Return the configuration as JSON-ready data; secrets appear only as where they are read from."""
        return self.model_dump(mode="json", exclude_defaults=True)
