"""The recorder in front of the suite's servers: other people's clients write, and each of them is caught."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from asyncua import Client, Server, ua
from paho.mqtt.client import Client as Publisher
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient

from simulators.broker import Broker
from simulators.registers import Block
from simulators.serve_modbus import ModbusServer, Unit
from tests.recording import Recorder, crc16, published
from tests.services.mosquitto import Mosquitto
from tests.services.ports import free_port
from tests.waiting import until

_REGISTERS = {"holding": Block(0, 2, struct.pack(">HH", 1, 2))}


@pytest.mark.writes("pymodbus writes a register")
async def test_a_modbus_write_is_caught(recorder: Recorder) -> None:
    unit = Unit()
    unit.show(_REGISTERS)
    async with ModbusServer(units={1: unit}) as server:
        client = AsyncModbusTcpClient("127.0.0.1", port=server.port, timeout=60)
        assert await client.connect()
        assert (await client.read_holding_registers(0, count=2, device_id=1)).registers == [1, 2]
        assert recorder.forbidden == []
        await client.write_register(0, 7, device_id=1)
        client.close()
    assert recorder.forbidden == ["Modbus function 6"]
    assert recorder.asked["Modbus function 3"] == 1


@pytest.mark.writes("an RTU frame that writes, one that is damaged, and a control code that sets")
async def test_frames_of_serial_lines_are_told_apart(recorder: Recorder) -> None:
    class Quiet(asyncio.Protocol):
        def data_received(self, data: bytes) -> None: ...

    server = await asyncio.get_running_loop().create_server(Quiet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    read, write = bytes.fromhex("010300000006"), bytes.fromhex("010600000001")
    several = bytes.fromhex("01100000000204000a0102")
    sent = [read + crc16(read) + write + crc16(write), several + crc16(several), write + crc16(write)]
    meter = bytes.fromhex("6812907856341268110433333433")
    sent += [b"\xfe\xfe" + meter + bytes((sum(meter) & 0xFF, 0x16)) + meter[:8] + b"\x14\x00\x00\x16"]
    for stream in sent:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(stream)
        await writer.drain()
        writer.close()
    await until(lambda: len(recorder.forbidden) == 3, what="what is not the last of its stream")
    server.close()
    recorder.close()
    told = {"DL/T 645 control code 14H", "Modbus function 6", "Modbus function 16"}
    assert set(recorder.forbidden) == told
    assert recorder.asked["DL/T 645 control code 11H"] == recorder.asked["Modbus function 3"] == 1


@pytest.mark.writes("asyncua writes a variable and calls a method")
async def test_an_opcua_write_and_call_are_caught(recorder: Recorder) -> None:
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{free_port()}/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    async with server:
        node = await server.nodes.objects.add_variable(2, "power", 1.0)
        await node.set_writable()
        async with Client(server.endpoint.geturl(), timeout=60) as client:
            assert await client.get_node(node.nodeid).read_value() == 1.0
            assert recorder.forbidden == []
            await client.get_node(node.nodeid).write_value(2.0)
            with pytest.raises(ua.UaError):
                await client.nodes.server.call_method("0:ResendData", 1)
    assert set(recorder.forbidden) == {
        "OPC UA service 673",
        "OPC UA service 712",
        "Client of OPC UA: Write",
        "Client of OPC UA: Call",
    }
    assert recorder.asked["OPC UA Read"] > 0


def _publish(port: int, client_id: str, topic: str) -> None:
    client = Publisher(CallbackAPIVersion.VERSION2, client_id)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, b"1", qos=1).wait_for_publish(60)
    client.disconnect()
    client.loop_stop()


@pytest.mark.writes("a client called like the gateway's publishes")
async def test_a_publish_to_the_small_broker_is_caught(recorder: Recorder) -> None:
    port = free_port()
    async with Broker("127.0.0.1", port):
        await asyncio.to_thread(_publish, port, "simulated-plant", "plant/power")
        assert recorder.forbidden == []
        await asyncio.to_thread(_publish, port, "tanflow-" + 200 * "1", "plant/set")
    assert recorder.forbidden == ["MQTT publish to plant/set"]


@pytest.mark.writes("a client called like the gateway's publishes")
async def test_mosquitto_tells_who_published(mosquitto: Mosquitto) -> None:
    await asyncio.to_thread(_publish, mosquitto.port, "meter", "plant/power")
    await asyncio.to_thread(_publish, mosquitto.port, "tanflow", "plant/set")
    await until(lambda: list(published(mosquitto.log)) == ["plant/set"], what="the broker's log")


async def test_what_is_no_device_protocol_is_left_alone(recorder: Recorder) -> None:
    class Quiet(asyncio.Protocol):
        def data_received(self, data: bytes) -> None: ...

    server = await asyncio.get_running_loop().create_server(Quiet, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()[:2]) as client:
        await asyncio.to_thread(client.sendall, b"POST /api/login HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0)
    server.close()
    assert recorder.forbidden == []
