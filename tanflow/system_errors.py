"""What the operating system refused → a sentence: what, for whom, and what to do."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from contextlib import suppress
from pathlib import Path
from typing import Final

_MORE: Final = "the system has no more of what is needed; raise the limit (`ulimit -n`, LimitNOFILE=) or free it"
_SPACE: Final = "its disk, or what its user may use of it, is full; free space there"
_DO: Final = {
    errno.EMFILE: _MORE,
    errno.ENFILE: _MORE,
    errno.ENOMEM: "the system has no more memory; free some, or raise the limit (`ulimit -v`, MemoryMax=)",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "no file may grow that large here; raise the limit (`ulimit -f`, LimitFSIZE=)",
    errno.EROFS: "its file system can only be read; look into dmesg for errors of the disk, then mount it for writing",
    errno.EIO: "its disk fails; look into dmesg, and keep what can still be read of it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "its links lead in a circle; name the place itself",
    errno.ENOTDIR: "a part of this path is a file; look at its spelling",
    errno.EISDIR: "it is a directory; name a file",
}


def sentence(error: OSError) -> str:
    """Return what to tell of an error, "" for one that is a defect rather than the system's refusal."""
    if isinstance(error, PermissionError):
        return _barred(error)
    do = _DO.get(error.errno or 0)
    return f"{do}: {error}" if do else ""


def user(uid: int) -> str:
    """Return a user's name, or the number of one that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _barred(error: PermissionError) -> str:
    """Say who may do what was refused: the owner of what stands in the way."""
    me = user(os.geteuid())
    if not isinstance(error.filename, str | os.PathLike):
        return f"user {me} may not do this: {error}"
    wanted = Path(error.filename).absolute()
    place = _nearest(wanted)
    status = place.stat()
    if status.st_uid == os.geteuid():
        return f"{place} may not be used by user {me}, whose it is; look at its rights: ls -ld {place}: {error}"
    name = user(status.st_uid)
    if wanted.parent == place and os.access(place, os.X_OK):  # it can be seen that nothing is there yet
        words = f"{place} is of user {name}: user {me} may not make {wanted} there; choose a place that is {me}'s own"
        return "; ".join([words, *getattr(error, "__notes__", ())])
    name = _also(status) or name
    who = f"'#{name}'" if name.isdecimal() else name
    return (
        f"{place} is of user {user(status.st_uid)} and may not be used by user {me}; "
        f"run this as {name}: sudo -u {who} tanflow …"
    )


def _also(status: os.stat_result) -> str:
    """Return the user whom root let in by the group that has the same name, as a service's; "" where there is none."""
    if status.st_uid or not status.st_gid or not status.st_mode & 0o040:
        return ""
    try:
        name = grp.getgrgid(status.st_gid).gr_name
        return name if pwd.getpwnam(name) else ""
    except KeyError:
        return ""


def _nearest(path: Path) -> Path:
    """Return the last part of a path that can be seen at all: it, or what leads on from it, is what is barred."""
    for place in (path, *path.parents):
        with suppress(OSError):
            place.stat()
            return place
    return Path("/")
