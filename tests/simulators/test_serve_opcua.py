"""node-opcua's client against the simulated OPC UA server: each policy and mode, a user, a client nobody trusts."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.points import Point
from simulators.certificates import made
from simulators.serve_opcua import OpcuaServer, Secured
from tests.interop import saw
from tests.services.node import PEERS
from tests.services.ports import free_port

POINTS = {
    "power": Point(quantity="power", unit="kW", opcua={"node": "nsu=urn:maker:plc;s=power"}),  # type: ignore[arg-type]
    "level": Point(quantity="power", unit="kW", opcua={"path": "Plant/Levels", "index": (2,)}),  # type: ignore[arg-type]
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
