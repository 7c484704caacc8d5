"""node-opcua's client against the simulated OPC UA server: each policy and mode, a user, a client nobody trusts."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.x509 import SubjectAlternativeName

from config.errors import GatewayError
from config.points import Point
from config.protocols.opcua import OpcuaConnection, OpcuaPoint, OpcuaSecurity
from config.strict import Secret
from simulators.certificates import made
from simulators.serve_opcua import OpcuaServer, Secured, secured_for
from tests.interop import saw
from tests.services.node import PEERS
from tests.services.ports import free_port

POINTS = {
    "power": Point(quantity="power", unit="kW", opcua=OpcuaPoint(node="nsu=urn:maker:plc;s=power")),
    "level": Point(quantity="power", unit="kW", opcua=OpcuaPoint(path="Plant/Levels", index=(2,))),
}


async def read(node: str, *arguments: str) -> tuple[int, str]:
    """Return the exit code and what the client said."""
    pipe = asyncio.subprocess.PIPE
    command = [node, str(PEERS / "opcua_client.js"), *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(120):
            said, failed = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, (said if process.returncode == 0 else failed).decode().splitlines()[-1]


@pytest.mark.writes("a foreign client keeps its session as it likes")
async def test_each_policy_and_mode(node: str, tmp_path: Path) -> None:
    secured = Secured(made("plc", Secured.uri), users={"reader": "meter"})
    url, done = f"opc.tcp://127.0.0.1:{free_port()}", 0
    async with OpcuaServer(url, secured) as server:
        nodes = await server.add("plc", POINTS)
        where = nodes.nodes["power"][0]
        await server.write(where, 12.5, datetime.now(UTC), "Good")
        place = where.to_string()
        keys = str(tmp_path / "keys")
        policies = ("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss")
        for policy, mode in itertools.product(policies, ("Sign", "SignAndEncrypt")):
            code, said = await read(node, url, policy, mode, place, keys, "reader", "meter")
            assert (code, said) == (0, json.dumps({"value": 12.5, "status": "Good"}, separators=(",", ":")))
            done += 1
        code, said = await read(node, url, "Basic256Sha256", "Sign", place, keys, "reader", "wrong")
        assert code == 1
    saw("OPC UA", "node-opcua 2.182 (client)", "our simulated server: policy × mode, user", f"{done} read, 1 refused")
    async with OpcuaServer(url, Secured(made("plc", Secured.uri), trusted=frozenset())):
        code, said = await read(node, url, "Basic256Sha256", "Sign", place, keys)
        assert code == 1


async def test_namespaces_paths_and_arrays_are_served_where_they_are_read() -> None:
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    async with OpcuaServer(url) as server:
        nodes = await server.add("plc", POINTS)
        assert "urn:maker:plc" in await server._server.get_namespace_array()
        await server.write(nodes.nodes["level"][0], 4.5, datetime.now(UTC), "Good", (2,))
        found = await server._server.nodes.objects.get_child(["2:Plant", "2:Levels"])
        assert (await found.read_value())[2] == 4.5


def test_a_secured_connection_is_served_secured_for_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLC_PASSWORD", "meter")
    plain = OpcuaConnection(protocol="opcua", url="opc.tcp://127.0.0.1:4840")
    assert secured_for(plain) is None
    user = {"username": "reader", "password": Secret(env="PLC_PASSWORD")}
    secured = secured_for(plain.model_copy(update={"security": OpcuaSecurity(), **user}))
    assert secured is not None
    assert secured.users == {"reader": "meter"}
    assert secured.uri in str(secured.pair.certificate.extensions.get_extension_for_class(SubjectAlternativeName).value)


async def test_what_is_not_simulated_is_said() -> None:
    async with OpcuaServer(f"opc.tcp://127.0.0.1:{free_port()}") as server:
        for wrong in (OpcuaPoint(node="ns=2;s=a", field="b"), OpcuaPoint(node="ns=2;s=a", index=(1, 2))):
            with pytest.raises(GatewayError, match="leave the point out"):
                await server.add("plc", {"power": Point(quantity="power", unit="kW", opcua=wrong)})
