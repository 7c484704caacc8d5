"""`tanflow listen`: what a broker carries is told and mapped; nothing is published, nothing left behind."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collectors.sparkplug_publish import state
from config.load import load
from config.protocols.mqtt import MqttConnection
from config.protocols.sparkplug import SparkplugConnection
from tanflow.commissioning.mqtt_yaml import suggestion
from tanflow.commissioning.named_quantities import by_name
from tanflow.commissioning.payload_shapes import shape
from tanflow.commissioning.sparkplug_heard import Sparkplug
from tanflow.commissioning.topics_heard import MOST_TOPICS, Topics
from tests.services.mosquitto import Mosquitto
from tests.tanflow.command import Said, said

Say = Callable[..., Said]
CONNECTION = {"protocol": "mqtt", "host": "broker"}


def messages() -> list[tuple[str, bytes]]:
    now_ms = time.time_ns() // 1_000_000
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        ("plant/furnace/power_kw", b"21.5"),
        ("plant/furnace/energy_kwh", b"1234"),
        ("plant/furnace/door", b"OPEN"),
        ("hall/pv", orjson.dumps({"ts": now_ms, "power_kw": 3.5, "inner": {"temperature_c": 21.5, "x": None}, "n": 7})),
        ("hall/log", orjson.dumps([{"time": now, "voltage_v": 230.1}, {"time": now, "voltage_v": 230.2}])),
        ("hall/csv", f"time;power_kw;other\n{now};3,5;2".encode()),
        ("hall/image", b"\x89PNG\x00\xff"),
    ]


@contextmanager
def speaking(broker: Mosquitto, retained: tuple[tuple[str, bytes], ...] = ()) -> Iterator[None]:
    """Publish all messages over and over until the end."""
    client = Client(CallbackAPIVersion.VERSION2, "devices")
    client.connect(broker.host, broker.port)
    client.loop_start()
    for topic, payload in retained:
        client.publish(topic, payload, 1, True).wait_for_publish(60)
    over = threading.Event()

    def speak() -> None:
        while not over.wait(0.1):
            for topic, payload in messages():
                client.publish(topic, payload)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    return lambda *arguments: said(monkeypatch, capsys, "listen", *arguments)


def url(broker: Mosquitto, topic_filter: str = "#") -> str:
    return f"mqtt://{broker.host}:{broker.port}/{topic_filter}"


def test_topics_shapes_and_a_configuration_that_loads(mosquitto: Mosquitto, say: Say, tmp_path: Path) -> None:
    offline = state("scada", False, 1)
    with speaking(mosquitto, (("hall/old", b"1"), (offline.topic, offline.payload))):
        told = say(url(mosquitto), "--for", "2s")
        as_yaml = say(url(mosquitto), "--for", "2s", "--yaml")
        as_json = say(url(mosquitto, "hall/#"), "--for", "2s", "--json")
    assert (told.code, as_yaml.code, as_json.code) == (0, 0, 0)
    assert "publishes nothing" in told.err
    for words in ("hall/image", "binary", "ts = ", "← its time, ms", "[*].voltage_v = 230.2", "power_kw = 3,5"):
        assert words in told.out
    assert "host 'scada' is offline: edge nodes bound to it as their primary host withhold their data" in told.out
    assert "host_id: scada, publish_state: true" in told.out
    assert "1 (1 retained)" in told.out
    path = tmp_path / "gateway.yaml"
    path.write_text(as_yaml.out)
    areas = load(path).gateway.areas["hall"].assets
    found = {f"{asset}.{point}" for asset, a in areas.items() for d in a.devices.values() for point in d.points}
    assert found == {
        "furnace.power_kw", "furnace.energy_kwh", "pv.power_kw", "pv.temperature_c", "log.voltage_v", "csv.power_kw"
    }  # fmt: skip
    data = orjson.loads(as_json.out)
    assert {topic["topic"] for topic in data["topics"]} == {"hall/pv", "hall/log", "hall/csv", "hall/image", "hall/old"}
    csv = next(topic for topic in data["topics"] if topic["topic"] == "hall/csv")
    assert (csv["payload"], csv["time_path"], csv["time_format"]) == ("CSV", "time", "iso")


def test_nothing_heard_and_nobody_there_are_sentences(mosquitto: Mosquitto, say: Say) -> None:
    told = say(url(mosquitto, "quiet/+"), "--for", "0.3s")
    assert told.code == 1
    assert "nothing was published on quiet/+" in told.err
    mosquitto.stop()
    told = say(url(mosquitto), "--for", "1s")
    assert told.code == 1
    assert "cannot be opened" in told.err


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("mqtt://me:secret@host/#", "no user or password in the URL"),
        ("http://host/#", "is no broker"),
        ("mqtt://host/a/#/b", "'#' stands alone"),
        ("mqtt://host:port/#", "port"),
        ("mqtts://host/#", "there is no file"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_asked(say: Say, place: str, words: str) -> None:
    told = say(place, *(("--ca", "nowhere.pem") if place.startswith("mqtts") else ()))
    assert told.code == 2
    assert words in " ".join(told.err.replace("│", " ").split())
    assert "secret" not in told.out + told.err.replace("me:secret", "")


def test_tls_certificates_and_a_password_from_the_environment(
    start_mosquitto: Callable[..., Mosquitto], say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = start_mosquitto(tls=True, password="s3cret")
    place, files = url(broker).replace("mqtt:", "mqtts:"), broker.folder
    way = ("--ca", files / "ca.pem", "--cert", files / "client.pem", "--key", files / "client.key", "--user", "reader")
    monkeypatch.setenv("TANFLOW_PASSWORD", "s3cret")
    told = say(place, "--for", "0.3s", *way)
    assert "nothing was published on #" in told.err
    monkeypatch.setenv("TANFLOW_PASSWORD", "guess")
    told = say(place, "--for", "0.3s", *way)
    assert "refuses the connection" in told.err
    assert "guess" not in told.out + told.err


# ── the parts ─────────────────────────────────────────────────────────────────────────────────────


def test_a_hundred_thousand_topics_take_bounded_memory() -> None:
    topics = Topics()
    for number in range(100_000):
        topics.note(f"t/{number}", b"x" * 20_000, False, number)
    assert len(topics.known) == MOST_TOPICS
    assert topics.messages == 100_000
    assert topics.beyond == 100_000 - MOST_TOPICS
    assert sum(len(topic.payload or b"") for topic in topics.known.values()) <= 32 << 20


def test_how_often_a_topic_speaks_is_told_without_what_was_retained() -> None:
    topics = Topics()
    for second, retained in ((0, True), (7, False), (9, False), (11, False)):
        topics.note("a", b"1", retained, second * 10**9)
    assert topics.known["a"].every_s == 2.0


@pytest.mark.parametrize(
    ("name", "unit", "quantity"),
    [
        ("power_kw", "kW", "power"), ("a.activePowerKw", "kW", "power"), ("P_kW", "kW", "power"),
        ("energyKWh", "kWh", "energy_index"), ("temperature_c", "degC", "temperature"), ("voltage_v", "V", "voltage"),
        ("power_factor", "1", "power_factor"), ("grid_hz", "Hz", "frequency"), ("flow_m3_h", "m3/h", "volume_flow"),
    ],
)  # fmt: skip
def test_a_name_that_says_what_it_is(name: str, unit: str, quantity: str) -> None:
    assert by_name(name) == (unit, quantity)


@pytest.mark.parametrize("name", ["w", "value", "max_power_kw", "setpoint_kw", "c", "status_a", "power", "mw", ""])
def test_a_name_that_leaves_it_open(name: str) -> None:
    assert by_name(name) is None


def test_a_local_time_is_noticed() -> None:
    now_s = 1_700_000_000
    local = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now_s + 8 * 3600))
    found = shape(orjson.dumps({"when": local, "v": 1}), now_s * 10**9)
    assert (found.time, found.form) == ("when", "iso")
    assert found.offset.startswith("+8 h from UTC")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
PAYLOADS = st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode), JSON.map(
    lambda d: orjson.dumps({"power_kw": 1, "d": d})
))  # fmt: skip
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="+#\0"), min_size=1, max_size=12)


@given(st.dictionaries(NAMES, PAYLOADS, max_size=4))
def test_whatever_a_broker_carries_the_suggestion_loads(heard: dict[str, bytes]) -> None:
    text = suggestion(CONNECTION, {topic: shape(payload, 10**18) for topic, payload in heard.items()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.yaml"
        path.write_text(text, "utf-8")
        assert isinstance(load(path).gateway.connections["broker"], MqttConnection)


@given(st.sampled_from(["spBv1.0/g/NBIRTH/n", "spBv1.0/STATE/h", "STATE/h", "spBv1.0/g/DDATA/n/d"]), st.binary())
def test_no_sparkplug_message_breaks_it(topic: str, payload: bytes) -> None:
    heard = Sparkplug()
    assert heard.note(topic, payload)
    heard.withheld()
    heard.suggestion({"protocol": "sparkplug", "host": "broker"})


def test_a_birth_becomes_points(tmp_path: Path) -> None:
    heard = Sparkplug()
    heard.note("spBv1.0/works/NBIRTH/edge", birth())
    heard.note("spBv1.0/works/NDEATH/edge", b"")
    heard.note("spBv1.0/works/DDATA/edge/press", b"\x18\x01")
    words = " ".join(heard.withheld())
    assert "died and not born again meanwhile: works/edge" in words
    assert "no birth certificate was heard of works/edge/press" in words
    path = tmp_path / "gateway.yaml"
    path.write_text(heard.suggestion({"protocol": "sparkplug", "host": "broker"}))
    gateway = load(path).gateway
    assert isinstance(gateway.connections["sparkplug"], SparkplugConnection)
    point = gateway.areas["hall"].assets["edge"].devices["main"].points["Power"]
    assert (point.quantity, point.unit) == ("power", "kW")
    assert "Level" in path.read_text()


def birth() -> bytes:
    """Return a birth certificate, written by hand: Power (Double, engUnit kW) and Level (Double), by their fields."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    unit = field(1, b"engUnit") + field(2, b"\x08\x0c" + field(8, b"kW"))
    double = b"\x69" + bytes(7) + b"\x40"  # field 13, 2.0
    power = field(1, b"Power") + b"\x20\x0a" + field(9, unit) + double
    level = field(1, b"Level") + b"\x20\x0a" + double
    return b"\x08\x01" + field(2, power) + field(2, level) + b"\x18\x00"
