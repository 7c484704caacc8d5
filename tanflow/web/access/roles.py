"""The one table of who may do what: roles → permissions, and every address → the permission it asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, get_args

Permission = Literal["read", "acknowledge", "silence", "enter", "approve", "commission", "export", "audit"]
Role = Literal["viewer", "operator", "engineer", "approver", "auditor"]  # what a user can be given
EVERYTHING: Final[frozenset[Permission]] = frozenset(get_args(Permission))
PERMISSIONS: Final[Mapping[str, frozenset[Permission]]] = {
    "viewer": frozenset(("read",)),
    "operator": frozenset(("read", "acknowledge", "silence")),
    "engineer": frozenset(("read", "acknowledge", "silence", "enter", "commission", "export")),
    "approver": frozenset(("read", "approve", "export")),
    "auditor": frozenset(("read", "export", "audit")),
    "local": EVERYTHING,  # whoever sits at a gateway that has no users
}
Asks = Permission | Literal["public"]
Methods = Mapping[str, Asks]

_READ: Final[Methods] = {"GET": "read"}
# A path that is not in here is not answered; {…} stands for one part of a path.
TABLE: Final[Mapping[str, Methods]] = {
    "/api/login": {"POST": "public"},
    "/api/logout": {"POST": "read"},
    "/api/me": _READ,
    "/api/health": _READ,
    "/metrics": _READ,
    "/api/series": _READ,
    "/api/latest": _READ,
    "/api/stream": _READ,
    "/api/query": _READ,
    "/api/emissions": _READ,
    "/api/cost": _READ,
    "/api/overview": _READ,
    "/api/flow": _READ,
    "/api/assets": _READ,
    "/api/assets/{name}": _READ,
    "/api/carbon": _READ,
    "/api/report": {"GET": "export"},
    "/api/deadletters": _READ,
    "/api/commissioning": {"GET": "commission"},
    "/api/commissioning/records": {"GET": "read", "POST": "commission"},
    "/api/documents": {"GET": "read", "POST": "enter"},
    "/api/documents/file": {"POST": "enter"},
    "/api/documents/approve": {"POST": "approve"},
    "/api/alerts": _READ,
    "/api/alerts/acknowledge": {"POST": "acknowledge"},
    "/api/silences": {"GET": "read", "POST": "silence"},
    "/api/silences/end": {"POST": "silence"},
    "/api/acts": {"GET": "audit"},
    "/api/openapi.json": _READ,
}
_PATTERNS: Final = [
    (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), methods)
    for path, methods in TABLE.items()
    if "{" in path
]


def asked(path: str) -> Methods:
    """Return the methods of a path with what each asks for; none where nothing is."""
    exact = TABLE.get(path)
    if exact is not None:
        return exact
    return next((methods for pattern, methods in _PATTERNS if pattern.fullmatch(path)), {})
