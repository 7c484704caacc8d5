"""`users.json` of the data directory → who may sign in: names, roles and salted hashes, written in one piece."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import logging
import os
import secrets
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import orjson
from pydantic import Field, ValidationError

from carbon.papers.register import same_person
from config.errors import GatewayError
from config.strict import Strict
from pipeline.log.directory import check_format
from tanflow.web.access.roles import PERMISSIONS, Role

logger = logging.getLogger("tanflow.api")

FILE: Final = "users.json"
NAME_MAX: Final = 64
_PASSWORD: Final = (10, 256)  # shortest and longest [characters]
# Interactive sign-in, RFC 7914 §2: 16 MiB and about 0.1 s of an edge gateway's core.
_N: Final = 2**14
_R: Final = 8
_P: Final = 1
_SALT: Final = 16  # [bytes]
_RESERVED: Final = ("token", "gateway", *(name for name in PERMISSIONS))


class User(Strict):
    """Someone who may sign in; the password itself is kept nowhere."""

    role: Role
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32,}$")]
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def of(cls, role: Role, password: str) -> User:
        """Return a user with a password; takes as long as a sign-in."""
        salt = secrets.token_bytes(_SALT)
        return cls(role=role, salt=salt.hex(), hash=_hash(password, salt).hex())

    def knows(self, password: str) -> bool:
        """Return whether this is the password; takes the same time either way."""
        return hmac.compare_digest(_hash(password, bytes.fromhex(self.salt)).hex(), self.hash)


class _File(Strict):
    """users.json; of another version or another way of hashing it is refused rather than guessed at."""

    version: Literal[1] = 1
    hashing: Literal["scrypt n=16384 r=8 p=1"] = "scrypt n=16384 r=8 p=1"
    users: dict[str, User] = Field(default_factory=dict)


# A password compared with this takes as long as a real one's and never fits.
NOBODY: Final = User(role="viewer", salt="00" * _SALT, hash="00" * 32)


def _hash(password: str, salt: bytes) -> bytes:
    # What looks the same is the same, whichever keyboard typed it.
    plain = unicodedata.normalize("NFKC", password).encode()
    return hashlib.scrypt(plain, salt=salt, n=_N, r=_R, p=_P, dklen=32)


def check_name(name: str, known: Mapping[str, User]) -> None:
    """Raise GatewayError for a name that no new user can have."""
    if not (0 < len(name) <= NAME_MAX and name.isprintable() and name == name.strip()):
        raise GatewayError(f"{name[:40]!r} cannot be a user's name: 1 to {NAME_MAX} characters, no spaces around them")
    if name.casefold() in _RESERVED:
        raise GatewayError(f"'{name}' has a meaning of its own here; choose another name")
    alike = [other for other in known if same_person(name, other)]
    if alike:
        raise GatewayError(f"there is a user '{alike[0]}' already; two who differ in case only would be mistaken")


def check_password(name: str, password: str) -> None:
    """Raise GatewayError for a password that is too easy to guess; it is never quoted."""
    least, most = _PASSWORD
    if not least <= len(password) <= most:
        raise GatewayError(f"a password has {least} to {most} characters")
    if len(set(password)) < 4 or same_person(name, password):
        raise GatewayError("this password is too easy to guess")


def read(path: Path) -> dict[str, User]:
    """Return the users by name, none where there is no file.

    Raises GatewayError for a file that cannot be understood, or that others than its owner may read, and for data of
    another format.
    """
    check_format(path.parent)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise GatewayError(f"{path} may be read by others; chmod 600 {path}")
            content = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise GatewayError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return dict(_File.model_validate_json(content).users)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise GatewayError(f"{path}: {where or 'what it holds'} cannot be understood; put a sound copy back") from None


@contextmanager
def changing(data: Path) -> Iterator[dict[str, User]]:
    """Yield the users of a data directory to be changed, and write them when that went well; one at a time.

    Raises GatewayError where the directory is not there or cannot be written, PermissionError where this user may not.
    """
    try:
        folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        raise
    except OSError as error:
        raise GatewayError(f"{data} is no data directory: {error.strerror or error}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        users = read(data / FILE)
        yield users
        try:
            _write(data, users)
            os.fsync(folder)
        except OSError as error:
            raise GatewayError(f"{data / FILE} cannot be written: {error.strerror or error}") from error
    finally:
        os.close(folder)


def _write(data: Path, users: dict[str, User]) -> None:
    """Replace users.json whole; it belongs to whom the directory belongs to, even where root writes it."""
    content = orjson.dumps(_File(users=users).model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    descriptor, part = tempfile.mkstemp(dir=data, prefix=".users-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            owner = data.stat()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.replace(part, data / FILE)
    except BaseException:
        os.unlink(part)
        raise


@dataclass(slots=True)
class Users:
    """The users in force: looked up in memory, read anew as soon as the file is another one."""

    path: Path
    by_name: dict[str, User] = field(default_factory=dict)
    _seen: tuple[int, ...] = ()

    @classmethod
    def open(cls, data: Path) -> Users:
        """Return the users of a data directory; raises GatewayError for a file that cannot be used."""
        users = cls(data / FILE)
        users._seen = users._look()
        users.by_name = read(users.path)
        return users

    def current(self) -> dict[str, User]:
        """Return the users as the file has them now; while it is missing or unsound, those it had before."""
        seen = self._look()
        if seen == self._seen:
            return self.by_name
        self._seen = seen
        try:
            if not seen and self.by_name:
                raise GatewayError(f"{self.path} is gone; its users stay until the gateway is started anew")
            self.by_name = read(self.path)
        except GatewayError as error:
            logger.error("users as before: %s", error)
        return self.by_name

    def _look(self) -> tuple[int, ...]:
        """Return what differs between two files of this name; () where there is none."""
        try:
            found = self.path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def digest(users: Mapping[str, User]) -> str:
    """Return what differs when any user, role or password does; tells nothing about a password."""
    said = [[name, user.role, user.salt, user.hash] for name, user in sorted(users.items())]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()[:32]


def changes(before: Mapping[str, User], after: Mapping[str, User]) -> list[dict[str, str]]:
    """Return in which users two states differ, and how."""
    found = [{"user": name, "change": "removed"} for name in sorted(before.keys() - after.keys())]
    for name, user in sorted(after.items()):
        old = before.get(name)
        if old is None:
            found.append({"user": name, "change": "added", "role": user.role})
        elif old.role != user.role:
            found.append({"user": name, "change": "role", "role": user.role})
        if old is not None and old.hash != user.hash:
            found.append({"user": name, "change": "password"})
    return found
