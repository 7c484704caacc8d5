"""A place where a secret is kept → its value; the value appears in no message, log or repr."""

from __future__ import annotations

import os
import stat

from config.errors import GatewayError
from config.hidden import remember
from config.strict import Secret

_LIMIT = 65_536  # a password or token, not a data file [bytes]


def read(secret: Secret) -> str:
    """Return the value of a secret; the line end of a secret file is not part of it.

    Raises GatewayError with a sentence that names the variable or file and never quotes the value.
    """
    value = _of_variable(secret.env) if secret.env is not None else _of_file(secret)
    if "\n" in value or "\r" in value or "\0" in value:
        raise GatewayError(f"{_place(secret)} holds more than one line; a secret is one line of text")
    remember(value)
    return value


def _place(secret: Secret) -> str:
    return f"environment variable {secret.env}" if secret.env is not None else f"secret file {secret.file}"


def _of_variable(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise GatewayError(f"environment variable {name} is not set; export it before starting, or use 'file:'")
    return value


def _of_file(secret: Secret) -> str:
    assert secret.file is not None  # the model asks for exactly one of both
    try:
        if stat.S_IFMT(secret.file.stat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            raise GatewayError(f"{_place(secret)} is a pipe or a device; a secret is kept in a file")
        with secret.file.open("rb") as file:
            raw = file.read(_LIMIT + 1)
    except OSError as error:
        raise GatewayError(f"{_place(secret)} cannot be read: {error.strerror or 'unusable path'}") from None
    except ValueError:
        raise GatewayError(f"{_place(secret)} is not a usable path") from None
    if len(raw) > _LIMIT:
        raise GatewayError(f"{_place(secret)} is larger than 64 KiB; that is not a secret")
    try:
        value = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise GatewayError(f"{_place(secret)} is not UTF-8 text") from None
    if not value:
        raise GatewayError(f"{_place(secret)} is empty")
    return value
