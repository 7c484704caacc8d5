"""What the user writes of MQTT: connections to brokers, topics and paths of points."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.strict import Name, Seconds, Secret, Strict

_MQTT_BYTES: Final = 65_535


class Tls(Strict):
    """TLS towards a broker or server; without `ca` the system's authorities are trusted."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class MqttPoint(Strict):
    """A value in a JSON payload: `path` is dotted (`meter.values.0`); empty means the payload is the number."""

    path: str = ""
    topic: str | None = None  # replaces the device's topic; + and # allowed


class Broker(Strict):
    """An MQTT broker and how to reach it."""

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None  # default: 1883, 8883 with tls
    version: Literal["5", "3.1.1"] = "5"
    client_id: Name = "tanflow"
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = 30
    backoff_max_s: Seconds = 60.0
    username: str | None = None
    password: Secret | None = None
    tls: Tls | None = None


class MqttConnection(Broker):
    """One MQTT broker with a persistent session; a device's address is a topic filter."""

    protocol: Literal["mqtt"]
    qos: Literal[0, 1] = 1
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 2_000
    session_expiry_s: Annotated[int, Field(ge=0, le=0xFFFF_FFFF)] = 7 * 86_400
    # Path and format of the time in a payload; none: the gateway stamps on arrival.
    time_path: str | None = None
    time_format: Literal["iso", "s", "ms", "us", "ns"] = "iso"


def check_topic_filter(text: str) -> None:
    """Raise ValueError with a sentence unless `text` is an MQTT topic filter (MQTT 5.0, 4.7)."""
    if not text:
        raise ValueError("an MQTT topic is needed, e.g. factory/+/power")
    if "\0" in text or len(text.encode()) > _MQTT_BYTES:
        raise ValueError("an MQTT topic has at most 65535 bytes and no NUL character")
    levels = text.split("/")
    if "#" in text and (levels[-1] != "#" or "#" in "".join(levels[:-1])):
        raise ValueError(f"'{text}': '#' stands alone as the last level, e.g. factory/#")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"'{text}': '+' stands alone for one level, e.g. factory/+/power")
