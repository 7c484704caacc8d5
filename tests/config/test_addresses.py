"""Addresses: what is one, and what a wrong one is told."""

import pytest
from pydantic import ValidationError

from config.protocols.modbus import modbus_address
from config.protocols.mqtt import Broker, check_topic_filter


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", ("10.0.0.1", 502, 1)),
        ("10.0.0.1/7", ("10.0.0.1", 502, 7)),
        ("meter.local:1502/0", ("meter.local", 1502, 0)),
        ("[fe80::1%eth0]:502/255", ("fe80::1%eth0", 502, 255)),
    ],
)
def test_modbus_address(text: str, address: tuple[str, int, int]) -> None:
    assert modbus_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "/1", "h:/1", "h:0", "h:65536", "h/256", "h/-1", "a b", "h:1:2", "::1", "h/1/2", "h\n"]
)
def test_not_a_modbus_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"write host|does not exist"):
        modbus_address(text)


@pytest.mark.parametrize("text", ["a", "a/b", "+/b/+", "#", "a/#", "/", "$SYS/x", "äöü/ 1"])
def test_topic_filter(text: str) -> None:
    check_topic_filter(text)


@pytest.mark.parametrize("text", ["", "a#", "#/a", "a/#/b", "a+/b", "a/+b", "a\0b", "x" * 65_536])
def test_not_a_topic_filter(text: str) -> None:
    with pytest.raises(ValueError):
        check_topic_filter(text)


@pytest.mark.parametrize("text", ["broker", "broker.local", "192.168.1.20", "::1", "fe80::1%eth0"])
def test_host_of_a_broker(text: str) -> None:
    assert Broker(host=text).host == text


@pytest.mark.parametrize(
    ("text", "write"),
    [
        ("mqtt://h:1883", "host: h, port: 1883"),
        ("mqtts://h", "host: h, tls: {}"),
        ("mqtt://me:TOP-SECRET/://x@h:1883/a/b", "host: h, port: 1883"),
        ("me:TOP-SECRET@h", "host: h"),
        ("h:1883", "host: h, port: 1883"),
        ("[::1]", "host: ::1"),
        ("mqtt://[::1]:1883", "host: ::1, port: 1883"),
        ("h/topic", "host: h"),
        ("wss://h", "only MQTT over TCP or TLS"),
        ("mqtt://", "the name or address"),
        ("", "the name or address"),
    ],
)
def test_no_host_of_a_broker(text: str, write: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Broker(host=text)
    said = str(caught.value.errors()[0]["ctx"]["error"])
    assert write in said
    assert "SECRET" not in said
