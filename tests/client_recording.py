"""Requests of OPC UA clients before they are encrypted → the recorder of the suite; what does not read is forbidden.

A recorder on the network sees of a secured channel that something is sent, not what. So this one stands in the client
library itself, in front of every request of any client in the process, secured or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.recording import Recorder

CLIENT: Final = "Client of OPC UA"
SESSION: Final = frozenset(
    {"GetEndpoints", "OpenSecureChannel", "CloseSecureChannel", "CreateSession", "ActivateSession", "CloseSession"}
)
READING: Final = frozenset(
    {"Browse", "BrowseNext", "TranslateBrowsePathsToNodeIds", "Read", "HistoryRead", "CreateSubscription",
     "CreateMonitoredItems", "DeleteMonitoredItems", "DeleteSubscriptions", "Publish"}
)  # fmt: skip


def asking(recorder: Recorder, send: Callable[..., Any]) -> Callable[..., Any]:
    """Return what sends requests as `send` does (asyncua's `UASocketProtocol._send_request`), after noting them."""

    def noted(protocol: Any, request: Any, *rest: Any, **named: Any) -> Any:
        service = type(request).__name__.removesuffix("Request")
        recorder.note(f"{CLIENT}: {service}", service in READING | SESSION)
        return send(protocol, request, *rest, **named)

    return noted


def services(recorder: Recorder) -> set[str]:
    """Return what OPC UA clients asked for, but for opening and closing."""
    found = {what.removeprefix(f"{CLIENT}: ") for what in recorder.asked if what.startswith(CLIENT)}
    return found - SESSION
