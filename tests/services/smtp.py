"""A mail server that keeps what it gets, in a thread of its own; it may refuse a recipient or ask for a password."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.services.ports import free_port


class Mailbox:
    """Mails as they came, decoded."""

    def __init__(self, refuse: str = "") -> None:
        self.mails: list[EmailMessage] = []
        self._refuse = refuse
        self.port = free_port()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address == self._refuse:
            return "550 5.1.1 no such mailbox here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and given.password == b"s3cr3t-pass"
    return AuthResult(success=right, handled=False)


@pytest.fixture
def start_smtp() -> Iterator[Callable[..., Mailbox]]:
    """Start a mail server; `refuse` is an address it does not know, `password` makes it ask for s3cr3t-pass."""
    started: list[Controller] = []

    def start(*, refuse: str = "", password: bool = False) -> Mailbox:
        box = Mailbox(refuse)
        asks = {"authenticator": _authenticate, "auth_required": True, "auth_require_tls": False} if password else {}
        controller = Controller(box, hostname="127.0.0.1", port=box.port, **asks)
        controller.start()
        started.append(controller)
        return box

    yield start
    for controller in started:
        controller.stop()
