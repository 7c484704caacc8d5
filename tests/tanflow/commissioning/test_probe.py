"""`tanflow probe`: the right reading is found whatever its type, order and neighbourhood; what fails is explained."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.modbus_ask import Answer, asker
from collectors.modbus_frames import Failure, Read
from config.errors import Rejected
from config.load import load
from pipeline.gaps import Gap
from simulators.serve_modbus_rtu import RtuServer
from tanflow.commissioning.addresses import parse
from tanflow.commissioning.plausible import SCALES, fits, quantity_of
from tanflow.commissioning.probing import Expected, Probed, best_first, candidates, point_of, probe
from tests.collectors.test_modbus_peers import Start, libmodbus, libmodbus_program  # noqa: F401  fixtures
from tests.interop import saw
from tests.services.ports import free_port
from tests.tanflow.command import said
from tests.tanflow.commissioning.serving import in_thread, serving, unit

FLOAT = struct.unpack(">2H", struct.pack(">f", 229.8))
WORDS = [0, 0, 0, 0, 0, 2301, *struct.unpack(">2H", struct.pack(">I", 12_345_678)), 0, FLOAT[1], FLOAT[0], 7]
CONFIG = """
version: 1
site: {{name: works, region: CN-GD}}
connections: {{floor: {{protocol: modbus}}}}
areas:
  hall:
    assets:
      main:
        type: meter
        devices:
          m:
            connection: floor
            address: 127.0.0.1:9/1
            points:
{points}
"""


@pytest.fixture
def url() -> Iterator[str]:
    with serving({1: unit(3_020, WORDS), 3: unit(0, [5, 6], "input")}) as server:
        yield f"modbus://127.0.0.1:{server.port}"
        assert not server.write_attempts


def pasted(told: str, folder: Path) -> Any:
    """The one point of what was printed, loaded as part of a whole configuration."""
    block = told[told.index("# under points:") :]
    path = folder / "gateway.yaml"
    path.write_text(CONFIG.format(points="\n".join(f"{' ' * 14}{line}" for line in block.splitlines())), "utf-8")
    points = load(path).gateway.areas["hall"].assets["main"].devices["m"].points
    return next(iter(points.values()))


def test_a_swapped_float_one_register_further_is_found_and_its_yaml_loads(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = f"{url}/1?address=3028&count=2"
    told = said(monkeypatch, capsys, "probe", place, "--expect", 229.8, "--unit", "V", "--tolerance", 0.1)
    assert told.code == 0
    assert "3029 (+1)  float32  CDAB" in told.out
    point = pasted(told.out, tmp_path)
    assert (point.quantity, point.unit) == ("voltage", "V")
    assert (point.modbus.address, point.modbus.type, point.modbus.word_order) == (3029, "float32", "little")
    assert max(len(line.rstrip()) for line in told.out.splitlines()) <= 80


def test_a_tenth_and_a_thousandth_are_found(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = said(monkeypatch, capsys, "probe", f"{url}/1?address=3025&count=1", "--expect", "230", "--unit", "V")
    assert pasted(told.out, tmp_path).scale == 0.1
    told = said(monkeypatch, capsys, "probe", f"{url}/1?address=3026", "--expect", "12345.7", "--unit", "kWh")
    point = pasted(told.out, tmp_path)
    assert (point.unit, point.modbus.type, point.modbus.address) == ("Wh", "uint32", 3026)


def test_a_reading_is_chosen_by_its_number_and_all_is_there_as_json(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{url}/1?address=3025&count=1"
    found = orjson.loads(said(monkeypatch, capsys, "probe", place, "--json").out)
    assert found["words"] == ["0x0000", "0x08fd", "0x00bc"]
    assert found["point"] is None
    one = next(r for r in found["readings"] if (r["address"], r["type"], r["order"]) == (3024, "uint16", "AB"))
    told = said(monkeypatch, capsys, "probe", place, "--choose", one["number"], "--unit", "V")
    assert "voltage_3024: {quantity: voltage, unit: V, modbus: {address: 3024}}" in told.out
    assert said(monkeypatch, capsys, "probe", f"{url}/1?address=3025", "--choose", 999).code == 2


def test_where_neighbours_are_not_there_only_what_is_there_is_read(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(monkeypatch, capsys, "probe", f"{url}/3?address=0&count=2&table=input")
    assert told.code == 0
    assert "input 0–1 answered" in told.out
    assert "input 0–2 is refused" in told.err


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/1?address=43021&count=1", ("illegal data address", "&address=3020", "&table=input")),
        ("/1?address=100", ("illegal data address", "count from 1", "&address=99")),
        ("/3?address=0", ("&table=input",)),
        ("/9?address=1", ("unit 9 behind it does not", "tanflow scan modbus://")),
    ],
)
def test_refusals_are_explained(
    url: str, place: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(monkeypatch, capsys, "probe", f"{url}{place}")
    assert told.code == 1
    for word in words:
        assert word in told.err


def test_nobody_there_and_the_wrong_framing(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(monkeypatch, capsys, "probe", f"modbus://127.0.0.1:{free_port()}/1?address=1")
    assert told.code == 1
    assert "ping it" in told.err
    told = said(monkeypatch, capsys, "probe", f"{url.replace('modbus', 'modbus+rtu')}/1?address=1", "--timeout", 0.2)
    assert told.code == 1
    assert "modbus://127.0.0.1" in told.err


class Liar(asyncio.Protocol):
    """A server whose reply to any request is `reply`, behind the transaction id it was asked with."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data[:2] + self._reply)


@asynccontextmanager
async def lying(reply: bytes) -> AsyncIterator[asyncio.Server]:
    server = await asyncio.get_running_loop().create_server(lambda: Liar(reply), "127.0.0.1", 0)
    yield server
    server.close()


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("0000 0007 05 03 04 0001 0002", "unit 5 answered instead of 1"),
        ("0000 0005 01 03 02 0001", "2 bytes of data (2 announced) instead of"),
        ("0000 0003 01 04 00", "answer to function 4 instead of 3"),
        ("0103 0400 0100 0200", "protocol id 259 instead of 0"),
    ],
)
def test_a_reply_that_was_not_asked_for_is_told(
    reply: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_thread(lambda: lying(bytes.fromhex(reply))) as server:
        port = server.sockets[0].getsockname()[1]
        told = said(monkeypatch, capsys, "probe", f"modbus://127.0.0.1:{port}/1?address=1", "--timeout", 30)
    assert told.code == 1
    assert words in told.err
    assert ("modbus+rtu" in told.err) == ("protocol id" in words)


def test_rtu_through_a_serial_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with in_thread(lambda: RtuServer(units={5: unit(0, [2_300, 1, 2, 3])})) as server:
        place = f"modbus+rtu://127.0.0.1:{server.port}"
        told = said(monkeypatch, capsys, "probe", f"{place}/5?address=0&count=1", "--expect", "230", "--unit", "V")
        assert "scale: 0.1" in told.out
        assert "no other master may use this line meanwhile: stop a gateway that reads it" in told.err
        told = said(monkeypatch, capsys, "probe", f"{place}/6?address=0", "--timeout", 0.2)
        assert "does not answer" in told.err
        assert said(monkeypatch, capsys, "probe", f"{place}/250?address=0").code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        "192.168.1.20", "modbos://h/1?address=1", "modbus://h/1", "modbus://h/1?addres=1", "modbus://h/1?address=1&address=2",
        "modbus://h/300?address=1", "modbus://h:70000/1?address=1", "modbus://user@h/1?address=1", "modbus:///dev",
        "modbus://h/1?address=65535&count=2", "modbus://h/1?address=1&count=124", "modbus://h/1?address=1&table=holdin",
        "modbus://h/1?address=1&baudrate=9600", "modbus:///dev/ttyUSB0/1?address=1&parity=X", "modbus://[::1/1?address=1",
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_sentence(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(monkeypatch, capsys, "probe", wrong).code in (1, 2)


def test_a_serial_port_with_its_settings() -> None:
    asked = parse("modbus:///dev/serial/by-id/usb-1/7?baudrate=19200&parity=N&address=3")
    assert asked.way.serial is not None
    assert (asked.way.serial.port, asked.way.serial.baudrate, asked.unit) == ("/dev/serial/by-id/usb-1", 19_200, 7)
    assert asked.options == {"address": "3"}
    with pytest.raises(Rejected):
        parse("modbus:///dev/ttyUSB0/0?address=1")


# ── plausibility ──────────────────────────────────────────────────────────────────────────────────

SHOWN = st.floats(0.01, 1e6)
PACKED = {"float32": ">f", "float64": ">d"}


@given(SHOWN, st.sampled_from(SCALES), st.floats(-0.019, 0.019))
def test_what_is_shown_is_found_at_every_scale(shown: float, scale: float, off: float) -> None:
    fit = fits(shown * (1 + off) / scale, shown, "V", 0.02)
    assert fit is not None
    assert fit.error <= 0.02


@given(st.floats(allow_nan=True, allow_infinity=True), SHOWN, st.sampled_from(["", "V", "kWh", "degC", "furlong"]))
def test_a_fit_is_what_it_says(value: float, shown: float, unit_: str) -> None:
    fit = fits(value, shown, unit_, 0.02)
    if fit is not None:
        size = {"Wh": 1e-3, "MWh": 1e3, "GWh": 1e6, "mV": 1e-3, "kV": 1e3}.get(fit.unit, 1.0)
        assert math.isclose(value * fit.scale * size, shown, rel_tol=0.0201)


@given(
    st.floats(10, 1e5, width=32),
    st.sampled_from(sorted(PACKED)),
    st.sampled_from(["big", "little"]),
    st.sampled_from(["big", "little"]),
    st.integers(-1, 1),
)
def test_the_right_reading_is_among_the_fitting_ones(value: float, kind: str, words: str, order: str, off: int) -> None:
    data = struct.pack(PACKED[kind], value)
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    pairs = pairs if words == "big" else pairs[::-1]
    registers = [int.from_bytes(p, "big" if order == "big" else "little") for p in pairs]
    memory = dict.fromkeys(range(90, 120), 0) | {100 + off + i: word for i, word in enumerate(registers)}

    class Device:
        async def ask(self, read: Read) -> Answer:
            wanted = [memory[a] for a in range(read.address, read.address + read.length)]
            return Answer(struct.pack(f">{len(wanted)}H", *wanted), None, 0.0)

    found = candidates(asyncio.run(probe(Device(), Read(1, "holding", 100, 4))), Expected(value, "V", 1e-6))
    fitting = best_first(found, 100)
    right = [c for c in fitting if (c.reading.type, c.address) == (kind, 100 + off) and c.fit and c.fit.scale == 1]
    assert [f"{c.reading.word_order} {c.reading.byte_order}" for c in right].count(f"{words} {order}") == 1
    name, block = point_of(right[0], "holding", "V")
    assert name.startswith("voltage_")
    assert block["modbus"]["address"] == 100 + off


def test_numbers_of_readings_are_never_given_twice() -> None:
    class Device:
        async def ask(self, read: Read) -> Answer:
            return Answer(bytes(2 * read.length), None, 0.0)

    for count in (1, 2, 4, 123):
        found = candidates(asyncio.run(probe(Device(), Read(1, "holding", 100, count))))
        assert len({one.number for one in found}) == len(found)


def test_only_a_refused_address_is_a_reason_to_ask_again() -> None:
    asked: list[Read] = []

    class Device:
        async def ask(self, read: Read) -> Answer:
            asked.append(read)
            return Answer(b"", Failure(Gap.TIMEOUT, "silent"), 0.1)

    probed: Probed = asyncio.run(probe(Device(), Read(1, "holding", 0, 2)))
    assert probed.heard is None
    assert asked == [Read(1, "holding", 0, 3)]


def test_quantities_of_units() -> None:
    expected = {"V": "voltage", "kWh": "energy_index", "MPa": "pressure", "degC": "temperature", "m3/h": "volume_flow"}
    assert {unit_: quantity_of(unit_) for unit_ in expected} == expected
    assert quantity_of("furlong") == ""


async def test_libmodbus_is_probed_in_every_order(libmodbus: Start) -> None:  # noqa: F811
    values = {10: 229.5, 20: 49.98, 30: 1234.5}
    content = []
    for address, value in values.items():
        high, low = struct.unpack(">2H", struct.pack(">f", value))
        content += [("h", address, low), ("h", address + 1, high)]
    found = 0
    async with asker("127.0.0.1", libmodbus(content), None, 5.0, rtu=False) as asks:
        for address, value in values.items():
            for shift in (-1, 0, 1):
                probed = await probe(asks, Read(1, "holding", address + shift, 2))
                best = best_first(candidates(probed, Expected(value, "V", 1e-4)), address + shift)
                right = [
                    c for c in best if (c.address, c.reading.type, c.reading.order) == (address, "float32", "CDAB")
                ]
                found += len(right)
    assert found == 9
    saw("Modbus TCP", "libmodbus 3.1.6 (C server)", "probe: swapped floats, one address off", f"{found} of 9 found")
