"""What the user writes, as strict pydantic models: one class per block of gateway.yaml."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from config.quantities import QUANTITIES, KindName, conversion

# Names become series keys, tags and file names; letters of any script are welcome, separators are not.
NAME = r"^[^\W_][\w-]*$"
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=64)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
AssetType = Literal[
    "meter", "compressor", "furnace", "chiller", "boiler", "pump", "fan", "motor", "pv", "storage",
    "vehicle_charger", "building", "data_hall", "production_line", "other",
]  # fmt: skip
Carrier = Literal[
    "electricity", "solar", "natural_gas", "heat", "steam", "cooling", "compressed_air", "product", "none"
]


class Strict(BaseModel):
    """Frozen, and an unknown key is a mistake to be told, not to be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True, allow_inf_nan=False)


class Secret(Strict):
    """A secret is never written here: it is read from an environment variable or from a file."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("give exactly one of 'env: VARIABLE' or 'file: /path/to/secret'")
        return self


# ── points: where a value stands on each protocol ─────────────────────────────────────────────────

RegisterType = Literal[
    "bool", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
    "bcd16", "bcd32", "bcd64", "string",
]  # fmt: skip
REGISTERS: dict[str, int] = {
    "bool": 1, "int16": 1, "uint16": 1, "bcd16": 1, "int32": 2, "uint32": 2, "float32": 2, "bcd32": 2,
    "int64": 4, "uint64": 4, "float64": 4, "bcd64": 4,
}  # fmt: skip
Table = Literal["holding", "input", "coil", "discrete"]


class ModbusDefaults(Strict):
    """What all points of a template share on the wire."""

    table: Table = "holding"
    word_order: Literal["big", "little"] = "big"
    byte_order: Literal["big", "little"] = "big"


class ModbusPoint(Strict):
    """A place in a Modbus unit; `address` is the zero-based address on the wire."""

    address: Annotated[int, Field(ge=0, le=65_535)]
    type: RegisterType = "uint16"
    table: Table | None = None
    word_order: Literal["big", "little"] | None = None
    byte_order: Literal["big", "little"] | None = None
    bit: Annotated[int, Field(ge=0, le=15)] | None = None  # of a register read as bool
    length: Annotated[int, Field(ge=1, le=125)] | None = None  # registers of a string
    not_available: tuple[int, ...] = ()  # raw values that mean "no value"

    @property
    def registers(self) -> int:
        return self.length if self.type == "string" and self.length else REGISTERS.get(self.type, 1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.type == "string" and self.length is None:
            raise ValueError("a string needs 'length: N' registers")
        if self.type != "string" and self.length is not None:
            raise ValueError("'length' goes with type string only")
        if self.bit is not None and self.type != "bool":
            raise ValueError("'bit' goes with type bool only")
        if self.table in ("coil", "discrete") and (self.type != "bool" or self.bit is not None):
            raise ValueError("coils and discrete inputs are single bits: type bool, no 'bit'")
        if self.address + self.registers > 65_536:
            raise ValueError("the value runs past address 65535")
        return self


class OpcuaPoint(Strict):
    """A variable of an OPC UA server, in the notation of its NodeId, e.g. `ns=2;s=Furnace.T1`."""

    node: Annotated[str, StringConstraints(pattern=r"^(ns=\d+;)?[isgb]=.+$")]


class MqttPoint(Strict):
    """A value in a JSON payload: `path` is dotted (`meter.values.0`); empty means the payload is the number."""

    path: str = ""
    topic: str | None = None  # replaces the device's topic; + and # allowed


class Point(Strict):
    """One value of a device: what it is, in which unit, and where it stands (exactly one protocol)."""

    quantity: str
    unit: str
    kind: KindName | None = None
    scale: float = 1.0
    offset: float = 0.0
    sign: Literal[1, -1] = 1
    valid: tuple[float, float] | None = None  # in `unit`, after scale
    digits: Annotated[int, Field(ge=3, le=19)] | None = None  # a counter that rolls over in decimal
    max_rate: Annotated[float, Field(gt=0)] | None = None  # most the counter can advance [unit/h], in the long run
    step: Annotated[float, Field(gt=0)] | None = (
        None  # it advances by [unit], a piece or a pulse; default: its register's
    )
    carrier: Carrier | None = None
    # Reference state of a gas volume; an emission factor per m³ applies only to a stated one.
    reference: GasReference | None = None
    source: str | None = None
    modbus: ModbusPoint | None = None
    opcua: OpcuaPoint | None = None
    mqtt: MqttPoint | None = None

    @property
    def protocol(self) -> str:
        return next(p for p in ("modbus", "opcua", "mqtt") if getattr(self, p) is not None)

    @property
    def effective_kind(self) -> KindName:
        return self.kind or QUANTITIES[self.quantity].kind

    @field_validator("quantity")
    @classmethod
    def _known(cls, quantity: str) -> str:
        conversion("", quantity) if quantity not in QUANTITIES else None
        return quantity

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        conversion(self.unit, self.quantity)
        if sum(getattr(self, p) is not None for p in ("modbus", "opcua", "mqtt")) != 1:
            raise ValueError("say where the value stands: exactly one of modbus:, opcua: or mqtt:")
        if self.scale == 0:
            raise ValueError("scale 0 would erase the value; leave it out for 1")
        if self.effective_kind == "delta":
            raise ValueError(f"{self.quantity} is an interval amount; a device has {self.quantity}_index or power")
        if self.digits is not None and self.effective_kind != "counter":
            raise ValueError("'digits' goes with counters only")
        if self.step is not None and self.effective_kind != "counter":
            raise ValueError("'step' goes with counters only")
        if self.valid and self.valid[0] >= self.valid[1]:
            raise ValueError("valid: [low, high] needs low < high")
        return self


class GasReference(Strict):
    """Temperature and pressure a gas volume refers to, e.g. 0 °C and 101.325 kPa for Nm³ in China."""

    celsius: Annotated[float, Field(gt=-50, lt=100)]
    kpa: Annotated[float, Field(gt=50, lt=200)] = 101.325


Point.model_rebuild()


class DeviceMap(Strict):
    """The points of one kind of device, and how it wants to be read."""

    protocol: Literal["modbus", "opcua", "mqtt"]
    notes: str = ""
    max_registers: Annotated[int, Field(ge=1, le=125)] = 125  # most one read may ask for
    max_gap: Annotated[int, Field(ge=0, le=124)] = 16  # unneeded registers read rather than asking twice
    modbus: ModbusDefaults = ModbusDefaults()
    points: Annotated[dict[Name, Point], Field(min_length=1)]


class Template(DeviceMap):
    """A shipped device map: of one make and model, and never without a source."""

    id: Name
    vendor: str
    model: str
    source: Annotated[tuple[str, ...], Field(min_length=1)]
    confidence: str


# ── connections ───────────────────────────────────────────────────────────────────────────────────


class Tls(Strict):
    """TLS towards a broker or server; without `ca` the system's authorities are trusted."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class ModbusConnection(Strict):
    """All Modbus TCP units read with the same manners; a device's address is `host[:port]/unit`."""

    protocol: Literal["modbus"]
    every_s: Seconds = 1.0
    timeout_s: Annotated[float, Field(ge=0.05, le=30)] = 1.0
    backoff_max_s: Seconds = 60.0


class OpcuaConnection(Strict):
    """One OPC UA server, by subscription (default) or by polling."""

    protocol: Literal["opcua"]
    url: Annotated[str, StringConstraints(pattern=r"^opc\.tcp://[^\s]+$")]
    mode: Literal["subscribe", "poll"] = "subscribe"
    every_s: Seconds = 1.0  # publishing interval, or the poll's period
    sampling_s: Annotated[float, Field(ge=0, le=86_400)] | None = None  # default: every_s
    queue: Annotated[int, Field(ge=1, le=100_000)] = 10
    deadband: Annotated[float, Field(ge=0)] = 0.0  # absolute, in the node's own unit
    stale_s: Seconds = 10.0  # silence after which the client is rebuilt
    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 4.0
    backoff_max_s: Seconds = 60.0
    username: str | None = None
    password: Secret | None = None


class MqttConnection(Strict):
    """One MQTT broker with a persistent session; a device's address is a topic filter."""

    protocol: Literal["mqtt"]
    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None  # default: 1883, 8883 with tls
    version: Literal["5", "3.1.1"] = "5"
    client_id: Name = "tanflow"
    qos: Literal[0, 1] = 1
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 2_000
    session_expiry_s: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] = 7 * 86_400
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = 30
    backoff_max_s: Seconds = 60.0
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None
    # Path and format of the time in a payload; none: the gateway stamps on arrival.
    time_path: str | None = None
    time_format: Literal["iso", "s", "ms", "us", "ns"] = "iso"


Connection = Annotated[ModbusConnection | OpcuaConnection | MqttConnection, Field(discriminator="protocol")]


# ── the plant ─────────────────────────────────────────────────────────────────────────────────────


class Device(Strict):
    """A meter or controller: a connection, its address there, and a template and/or points of its own."""

    connection: Name
    address: str = ""
    template: str | None = None
    every_s: Seconds | None = None
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
    rated_kw: Annotated[float, Field(gt=0)] | None = None
    # Energy from registers where a device has them, else by integrating power; or say which.
    energy: Literal["auto", "counter", "integrate", "none"] = "auto"
    max_hold_s: Seconds = 300.0  # longest step between power samples that is integrated
    devices: dict[Name, Device]


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
    tables: tuple[Path, ...] = ()  # further CSV files in the form of config/factors


class EnergyIntensity(Strict):
    """Energy per tonne of product over each window of the site's hours, with its completeness."""

    type: Literal["energy_intensity"]
    energy: Annotated[tuple[str, ...], Field(min_length=1)]  # asset.point of counters or integrated power
    product: str  # asset.point of a mass counter
    every: Annotated[str, StringConstraints(pattern=r"^(15|30|60)min$")] = "60min"
    shifts_only: bool = False  # leave out windows outside the site's shifts
    grace_s: Seconds = 30.0


class Threshold(Strict):
    """An alert while a window's value stays above a limit; clears below `clear_below` (hysteresis)."""

    window: Name
    above: float
    clear_below: float
    hold_s: Annotated[float, Field(ge=0, le=7 * 86_400)] = 0.0
    min_completeness: Annotated[float, Field(ge=0, le=1)] = 0.9
    severity: Literal["info", "warning", "critical"] = "warning"

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.clear_below > self.above:
            raise ValueError("clear_below must not be higher than above")
        return self


class Keep(Strict):
    """How much a remote sink may be behind before its oldest rows are given up (counted and recorded)."""

    max_age_h: Annotated[float, Field(gt=0)] | None = None
    max_mb: Annotated[float, Field(gt=0)] | None = 2_048


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
    gzip: bool = True
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
        if re.search(r"//[^/]*@", self.url):
            raise ValueError("no user or password in the url; use username: and password:")
        return self


class History(Strict):
    """The embedded history: Parquet files of raw rows and roll-ups."""

    cut_s: Seconds = 300.0
    cut_rows: Annotated[int, Field(ge=1_000, le=5_000_000)] = 500_000
    raw_days: Annotated[int, Field(ge=1)] = 92
    rollup_days: Annotated[int, Field(ge=1)] = 3_660


class Data(Strict):
    """The data directory: log, history, state. One gateway owns it."""

    dir: Path = Path("data")
    commit_ms: Annotated[int, Field(ge=10, le=10_000)] = 250
    snapshot_s: Seconds = 60.0
    min_free_mb: Annotated[int, Field(ge=16)] = 256  # below this nothing more is accepted
    ballast_mb: Annotated[int, Field(ge=1, le=1024)] = 16
    history: History = History()


class Api(Strict):
    """The local page and API; anywhere but loopback it asks for a token."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_800
    token: Secret | None = None

    @property
    def loopback(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost")

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if not self.loopback and self.token is None:
            raise ValueError(
                f"listening on {self.host} without 'token:' would let anyone in; add token: or use 127.0.0.1"
            )
        return self


class Gateway(Strict):
    """gateway.yaml."""

    version: Literal[1]
    site: Site
    data: Data = Data()
    api: Api | None = Api()
    factors: Factors = Factors()
    templates: dict[Name, DeviceMap] = {}  # the plant's own, beside the shipped ones
    connections: dict[Name, Connection]
    areas: dict[Name, Area]
    sinks: dict[Name, InfluxSink] = {}
    windows: dict[Name, EnergyIntensity] = {}
    alerts: dict[Name, Threshold] = {}

    def dump(self) -> dict[str, Any]:
        """Return the configuration as JSON-ready data; secrets appear only as where they are read from."""
        return self.model_dump(mode="json", exclude_defaults=True)
