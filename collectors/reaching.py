"""An error of a connection in; why nothing is reached there out, in the same words under every event loop."""

from __future__ import annotations

import errno
import re
import socket
from typing import Final

_WORDS: Final = {
    errno.ECONNREFUSED: "nothing listens there; look at the port, and whether the service is on",
    errno.ECONNRESET: "the other side cut the connection",
    errno.EHOSTUNREACH: "the host does not answer; look at its address, its power and the cable",
    errno.ENETUNREACH: "no network leads there; look at the gateway's own address and route",
    errno.EACCES: "a firewall of this machine forbids it",
    errno.EMFILE: "this process has no descriptors left; raise LimitNOFILE=",
}
# An address of a kind this machine does not use, IPv6 mostly: of a host that has others too, those tell more.
_NOT_OURS: Final = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def why_not(error: BaseException) -> str:
    """Return why nothing is reached, or no longer: what is known of the cause, else the error's own words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "its name is not known here; look at its spelling, and at this machine's name server"
    words = str(error) or type(error).__name__
    if not isinstance(error, OSError) or error.filename is not None:  # of a file, which a connection may need too
        return words
    # Of a host with several addresses it holds the error of each.
    numbers = {int(number) for number in re.findall(r"\[Errno (\d+)\]", words)}
    told = numbers - _NOT_OURS or numbers
    return _WORDS.get(told.pop(), words) if len(told) == 1 else words
