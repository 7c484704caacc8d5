"""What a device's address may look like, and what is said to one that is none."""

from __future__ import annotations

import pytest

from collectors.modbus_address import parse_address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("192.168.1.20", ("192.168.1.20", 502, 1)),
        ("meter.local:1502/3", ("meter.local", 1502, 3)),
        (" 10.0.0.1/255 ", ("10.0.0.1", 502, 255)),
        ("[fd00::20]", ("fd00::20", 502, 1)),
        ("[::1]:1502/0", ("::1", 1502, 0)),
    ],
)
def test_address(text: str, parts: tuple[str, int, int]) -> None:
    assert parse_address(text) == parts
    assert parse_address(str(parse_address(text))) == parts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write host"),
        ("host:", "write host"),
        ("host/", "write host"),
        ("fd00::20", "is not a Modbus address"),
        ("tcp://host", "is not a Modbus address"),
        ("host:0", "port 0 .* 1 to 65535"),
        ("host:70000", "port 70000 .* 1 to 65535"),
        ("host/256", "unit 256 .* 0 to 255"),
        ("a b", "is not a Modbus address"),
    ],
)
def test_what_is_no_address_is_told_how_to_be_one(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_address(text)
