"""Posts over a kept connection, against a server that answers as the test says."""

from __future__ import annotations

import fcntl
import http.client
import resource
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

import pytest

from sinks.bounded_http import MOST_BYTES, Posts

STORED = b"HTTP/1.1 204 No Content\r\n\r\n"
WRONG = b'HTTP/1.1 400 Bad Request\r\nRetry-after: 7\r\nContent-Length: 15\r\n\r\n{"error":"why"}'


@contextmanager
def answering(*connections: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Accept so many connections, give each one's answers in turn, then hang up; yields the URL and what was heard."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answers in connections:
            carrier, _ = listener.accept()
            with carrier, carrier.makefile("rb") as received:
                for answer in answers:
                    head = b"".join(iter(received.readline, b"\r\n"))
                    length = int(head.lower().split(b"content-length: ")[1].split()[0])
                    heard.append(head + received.read(length))
                    with suppress(OSError):  # it may have heard enough
                        carrier.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/base/write?db=d", heard
        thread.join(30)


def test_one_connection_carries_all_and_answers_are_told() -> None:
    with answering([STORED, WRONG, STORED]) as (url, heard):
        posts = Posts(url, {"X-Told": "1"}, 30.0)
        assert posts.post(b"a b=1 1\n")[0] == 204
        status, body, headers = posts.post(b"c")
        assert (status, body, headers.get("Retry-After")) == (400, b'{"error":"why"}', "7")
        assert posts.post(b"")[0] == 204
        posts.close()
    assert heard[0].startswith(b"POST /base/write?db=d HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"X-Told: 1\r\n" in heard[0]
    assert heard[0].endswith(b"a b=1 1\n")
    assert len(heard) == 3


def test_a_connection_the_server_has_closed_meanwhile_is_made_anew() -> None:
    with answering([STORED], [STORED]) as (url, heard):
        posts = Posts(url, {}, 30.0)
        posts.post(b"1")
        carrier = posts._connection.sock
        assert carrier.recv(1, socket.MSG_PEEK) == b""
        assert posts.post(b"2")[0] == 204
        posts.close()
    assert len(heard) == 2


def test_a_connection_may_have_any_descriptor() -> None:
    """A gateway of a thousand devices has a thousand connections before this one: more than select(2) can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    try:
        with answering([STORED, STORED]) as (url, heard):
            posts = Posts(url, {}, 30.0)
            posts.post(b"1")
            with closing(posts._connection.sock) as low:
                posts._connection.sock = socket.socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD, 2_000))
            assert posts.post(b"2")[0] == 204
            posts.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(heard) == 2


def test_after_an_answer_too_long_or_none_the_connection_is_made_anew() -> None:
    long = b"HTTP/1.1 500 no\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000
    with answering([long], [b""], [STORED]) as (url, _):
        posts = Posts(url, {}, 30.0)
        status, body, _ = posts.post(b"1")
        assert status == 500
        assert MOST_BYTES <= len(body) <= MOST_BYTES + 8_192
        with pytest.raises((OSError, http.client.HTTPException)):
            posts.post(b"2")
        assert posts.post(b"3")[0] == 204
        posts.close()
