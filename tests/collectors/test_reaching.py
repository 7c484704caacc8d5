"""Why nothing is reached at an address is told in the same words under every event loop."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from collectors.reaching import why_not


def _closed_port() -> int:
    """Return a port of loopback at which nothing listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_closed_port(new_loop: type[asyncio.AbstractEventLoop], host: str) -> None:
    loop = new_loop()
    with pytest.raises(OSError) as told:
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, host, _closed_port()))
    loop.close()
    assert why_not(told.value).startswith("nothing listens there")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64, "meter..hall"])
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_name_nobody_has(new_loop: type[asyncio.AbstractEventLoop], host: str) -> None:
    loop = new_loop()
    with pytest.raises((OSError, UnicodeError)) as told:
        loop.run_until_complete(loop.create_connection(asyncio.Protocol, host, 502))
    loop.close()
    assert why_not(told.value).startswith("its name is not known")


def test_an_address_of_a_kind_this_machine_does_not_use_hides_no_other() -> None:
    both = OSError("Multiple exceptions: [Errno 101] Network is unreachable, [Errno 111] Connect call failed")
    assert why_not(both).startswith("nothing listens there")
    assert why_not(OSError(101, "Network is unreachable")).startswith("no network leads there")


def test_one_that_is_cut_may_have_lasted() -> None:
    assert why_not(ConnectionResetError(104, "Connection reset by peer")) == "the other side cut the connection"


def test_what_is_not_known_keeps_its_own_words() -> None:
    assert why_not(OSError("Multiple exceptions: [Errno 111] refused, [Errno 113] no route")).count("Errno") == 2
    assert why_not(OSError(5, "Input/output error")) == "[Errno 5] Input/output error"
    assert why_not(PermissionError(13, "Permission denied", "key.pem")) == "[Errno 13] Permission denied: 'key.pem'"
