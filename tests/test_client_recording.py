"""The recorder in an OPC UA client: what a secured channel hides on the network is caught before it is encrypted."""

from __future__ import annotations

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties

from simulators.certificates import made
from simulators.serve_opcua import OpcuaServer, Secured
from tests.client_recording import services
from tests.recording import Recorder
from tests.services.ports import free_port


@pytest.mark.writes("asyncua writes a variable")
async def test_an_opcua_write_is_caught_on_an_encrypted_channel(recorder: Recorder) -> None:
    pair = made("plc", Secured.uri)
    async with OpcuaServer(f"opc.tcp://127.0.0.1:{free_port()}", Secured(pair)) as server:
        client = Client(server.url, timeout=60)
        own = made("writer", "urn:writer")
        client.application_uri = "urn:writer"
        key, certificate = CertProperties(own.key_pem, "pem"), CertProperties(own.der, "der")
        theirs = CertProperties(pair.der, "der")
        await client.set_security(SecurityPolicyBasic256Sha256, certificate, key, server_certificate=theirs)
        async with client:
            node = client.get_node("ns=0;i=2258")
            await node.read_value()
            assert recorder.forbidden == []
            with pytest.raises(ua.UaError):
                await node.write_value(2.0)
    assert recorder.forbidden == ["Client of OPC UA: Write"]
    assert "Read" in services(recorder)
