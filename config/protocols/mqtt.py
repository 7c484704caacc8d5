"""What the user writes of MQTT: connections to brokers, topics and paths of points."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from config.strict import Name, Seconds, Secret, Strict, Zone

if TYPE_CHECKING:
    from config.bindings import BoundDevice

_MQTT_BYTES: Final = 65_535
_SHARED: Final = "$share/"
EACH: Final = "[*]"  # in a path: each element of a list
_POINT: Final = "{point}"
_PLACE: Final = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<name>[^:]*))(?::(?P<port>[0-9]*))?")
_TLS: Final = ("mqtts", "ssl")
_NAMES: Final = ("{asset}", "{device}", _POINT)  # what stands for a name in a topic


class Tls(Strict):
    """TLS towards a broker or server; without `ca` the system's authorities are trusted."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class Form(NamedTuple):
    """How one value and its time stand in a payload, all defaults filled in."""

    payload: Literal["json", "csv", "number"]
    path: str
    text: Literal["number", "decimal_comma", "on_off"] | None
    time_path: str | None
    time_format: Literal["iso", "s", "ms", "us", "ns"]
    time_zone: str
    separator: str

    @property
    def each(self) -> bool:
        """Whether one message may bring several values."""
        return self.payload == "csv" or EACH in self.path

    @property
    def alike(self) -> tuple[object, ...]:
        """What points have in common that are read together, wherever in a payload each of them stands."""
        return self.each, self.payload, self.time_path, self.time_format, self.time_zone, self.separator


class MqttPayload(Strict):
    """How payloads are written; what a point leaves out is as its connection says, else as the comments say."""

    payload: Literal["json", "csv", "number"] | None = None  # json; number: the payload is one value and nothing else
    # Dotted: `meter.values.0`, `data[*].kw` for each element, `{point}` for the point's key; of CSV the column's
    # number, from 0, or its name in the header; empty: the payload is the value.
    path: str | None = None
    # What text stands for a number: 21.5, 21,5, or on/off/true/false. None: in JSON text is no number, in CSV 21.5 is.
    text: Literal["number", "decimal_comma", "on_off"] | None = None
    time_path: str | None = None  # none: the gateway stamps on arrival
    time_format: Literal["iso", "s", "ms", "us", "ns"] | None = None  # iso
    time_zone: Zone | None = None  # of ISO times without an offset; UTC
    separator: Literal[",", ";", "|", "tab"] | None = None  # of CSV; a comma

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for field in ("path", "time_path"):
            if (getattr(self, field) or "").count(EACH) > 1:
                raise ValueError(f"{field}: {EACH} stands at most once in a path; lists within lists are not read")
        if self.payload == "number" and (self.path or self.time_path):
            raise ValueError("payload: number is one value and nothing else, so it has no path and no time_path")
        return self


class MqttPoint(MqttPayload):
    """A value in a payload; `topic` replaces the device's address, + and # allowed."""

    topic: str | None = None
    key: str | None = None  # what the device calls it, for {point} in topics and paths; default: the point's name


def _host(text: str) -> str:
    """Return the name or address of a host; raises ValueError with a sentence for a URL, which may hold a password."""
    scheme, apart, rest = text.partition("://")
    if apart and scheme not in ("mqtt", "mqtts", "tcp", "ssl"):
        raise ValueError("only MQTT over TCP or TLS is spoken here; write the name of the broker's host alone")
    place = (rest if apart else text).rpartition("@")[2].partition("/")[0]
    match = _PLACE.fullmatch(place)
    name, port = (match["v6"] or match["name"], match["port"]) if match else (place, None)
    if not name or any(c.isspace() for c in name):
        raise ValueError("must be the name or address of the broker's host, e.g. 192.168.1.20")
    if name != text or text.count(":") == 1:
        write = [f"host: {name}", *([f"port: {port}"] if port else []), *(["tls: {}"] if scheme in _TLS else [])]
        raise ValueError(f"is the name or address of a host and nothing else; write {', '.join(write)}")
    return text


class Broker(Strict):
    """An MQTT broker and how to reach it."""

    host: Annotated[str, AfterValidator(_host)]
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None  # default: 1883, 8883 with tls
    version: Literal["5", "3.1.1"] = "5"
    client_id: Name = "tanflow"
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = 30
    backoff_max_s: Seconds = 60.0
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None


class MqttConnection(Broker, MqttPayload):
    """One MQTT broker with a persistent session; a device's address is a topic filter."""

    protocol: Literal["mqtt"]
    qos: Literal[0, 1] = 1
    share: Name | None = None  # a group of clients, each of which gets a part of the messages
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 2_000
    session_expiry_s: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] = 7 * 86_400


def form_of(point: MqttPoint, connection: MqttConnection, key: str) -> Form:
    """Return how a point is written, with what its connection says where it says nothing itself."""

    def said(field: str, default: str | None) -> Any:
        own = getattr(point, field)
        value = getattr(connection, field) if own is None else own
        return default if value is None else value

    plain = said("payload", "json") == "number"
    defaults = {"payload": "json", "path": "", "time_format": "iso", "time_zone": "UTC", "separator": ","}
    form = Form(**{field: said(field, defaults.get(field)) for field in Form._fields})
    escaped = key.replace(".", "\\.")
    return form._replace(
        path="" if plain else form.path.replace(_POINT, escaped),
        time_path=None if plain or form.time_path is None else form.time_path.replace(_POINT, escaped),
        separator="\t" if form.separator == "tab" else form.separator,
    )


def key_of(device: BoundDevice, name: str) -> str:
    """Return what stands for {point}: the point's key, else its name without the device's prefix."""
    point = device.points[name].mqtt
    return (point.key if point else None) or name.removeprefix(device.device.prefix)


def filter_of(device: BoundDevice, name: str) -> tuple[str, str]:
    """Return (share group or "", topic filter) of a point; {asset}, {device} and {point} stand for their names."""
    point = device.points[name].mqtt
    group, topic = split_share((point.topic if point else None) or device.device.address)
    for placeholder, meant in zip(_NAMES, (device.asset_name, device.name, key_of(device, name)), strict=True):
        topic = topic.replace(placeholder, meant)
    return group, topic


def split_share(topic_filter: str) -> tuple[str, str]:
    """Return the group and the filter of `$share/group/filter` (MQTT 5.0, 4.8.2); the group is "" for any other."""
    if not topic_filter.startswith(_SHARED):
        return "", topic_filter
    group, _, rest = topic_filter.removeprefix(_SHARED).partition("/")
    return group, rest


def check_topic(text: str) -> None:
    """Raise ValueError with a sentence unless `text` is a topic filter as a configuration has it, with placeholders."""
    check_topic_filter(text)
    for placeholder in re.findall(r"\{[^{}/]*\}", text):
        if placeholder not in _NAMES:
            raise ValueError(f"{placeholder} stands for nothing here; what does is {', '.join(_NAMES)}")


def check_topic_filter(text: str) -> None:
    """Raise ValueError with a sentence unless `text` is an MQTT topic filter (MQTT 5.0, 4.7)."""
    if not text:
        raise ValueError("an MQTT topic is needed, e.g. factory/+/power")
    if "\0" in text or len(text.encode()) > _MQTT_BYTES:
        raise ValueError("an MQTT topic has at most 65535 bytes and no NUL character")
    if text.startswith(_SHARED):
        group, text = split_share(text)
        if not group or not text or set("+#") & set(group):
            raise ValueError("a shared subscription is $share/group/filter, e.g. $share/gateways/factory/+/power")
    levels = text.split("/")
    if "#" in text and (levels[-1] != "#" or "#" in "".join(levels[:-1])):
        raise ValueError(f"'{text}': '#' stands alone as the last level, e.g. factory/#")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"'{text}': '+' stands alone for one level, e.g. factory/+/power")
