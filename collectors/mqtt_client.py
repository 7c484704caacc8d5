"""What the user says of a broker in, paho's client out: with its name, user, TLS and bounds; and its connection."""

from __future__ import annotations

import ssl
from typing import Final

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from config.errors import Unavailable
from config.protocols.mqtt import Broker
from config.secrets import read as read_secret

_CHUNK: Final = 65_536  # bytes read at once
_MOST_PACKET: Final = 16 << 20  # bytes; the longest message that is read has a quarter of it


class _Bounded(Client):
    """paho's client, which would make room for a packet of 256 MiB as soon as one is announced."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > _MOST_PACKET:
            raise Unavailable(
                f"the broker at {self.host} announces a message of {bufsize} bytes, more than {_MOST_PACKET}; "
                "set the broker's largest message lower (Mosquitto: max_packet_size)"
            )
        data: bytes = super()._sock_recv(min(bufsize, _CHUNK))
        return data


def port_of(broker: Broker) -> int:
    """Return the port a broker listens on: the usual one, unless another is given."""
    return broker.port or (8883 if broker.tls else 1883)


def client_of(broker: Broker, expiry_s: int) -> Client:
    """Return a client that is not connected yet, its session kept for so long [s].

    Raises GatewayError for a secret, OSError for a file of TLS.
    """
    v5 = broker.version == "5"
    client = _Bounded(
        CallbackAPIVersion.VERSION2,
        broker.client_id,
        clean_session=None if v5 else expiry_s == 0,  # 3.1.1 knows no time after which it ends
        protocol=MQTTv5 if v5 else MQTTv311,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    if broker.username is not None:
        client.username_pw_set(broker.username, read_secret(broker.password) if broker.password else None)
    if broker.tls is not None:
        ca, certificate, key = (str(p) if p else None for p in (broker.tls.ca, broker.tls.certificate, broker.tls.key))
        client.tls_set_context(_tls(ca, certificate, key))
    return client


def connect(client: Client, broker: Broker, expiry_s: int, receive_maximum: int) -> None:
    """Look up the name, connect, shake hands and send CONNECT; blocks meanwhile. Raises OSError."""
    if broker.version == "5":
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = receive_maximum
        properties.MaximumPacketSize = _MOST_PACKET  # a broker passes over what is larger, instead of hanging up
        properties.SessionExpiryInterval = expiry_s
        client.connect(
            broker.host, port_of(broker), broker.keepalive_s, clean_start=expiry_s == 0, properties=properties
        )
    else:
        client.connect(broker.host, port_of(broker), broker.keepalive_s)


def _tls(ca: str | None, certificate: str | None, key: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context
