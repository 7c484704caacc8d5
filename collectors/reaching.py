"""An error of a connection in; why nothing is reached there out, in the same words under every event loop."""

from __future__ import annotations

import errno
import re
import socket
from typing import Final

_WORDS: Final = {
    errno.ECONNREFUSED: "nothing listens there; look at the port, and whether the service is on",
    errno.ECONNRESET: "it closed the connection at once",
    errno.EHOSTUNREACH: "the host does not answer; look at its address, its power and the cable",
    errno.ENETUNREACH: "no network leads there; look at the gateway's own address and route",
    errno.EACCES: "a firewall of this machine forbids it",
    errno.EMFILE: "this process has no descriptors left; raise LimitNOFILE=",
}


def why_not(error: BaseException) -> str:
    """Return why nothing is reached, or no longer: what is known of the cause, else the error's own words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name is not known here; look at its spelling, and at this machine's name server"
    words = str(error) or type(error).__name__
    # Of a host with several addresses it holds the error of each.
    numbers = {int(number) for number in re.findall(r"\[Errno (\d+)\]", words)} if isinstance(error, OSError) else set()
    return _WORDS.get(numbers.pop(), words) if len(numbers) == 1 else words
