"""Variables found on an OPC UA server → a configuration that reads them, addressed so that it outlives a restart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from asyncua import ua

from collectors.opcua_browse import Found, variables
from collectors.opcua_units import meant_by
from config.errors import GatewayError
from config.protocols.opcua import OpcuaConnection

_NUMBERS: Final = frozenset(range(1, 12))  # built-in types that are numbers: Boolean … Double
_UNFIT: Final = re.compile(r"[^\w-]+")


def configuration(connection: OpcuaConnection, root: Found, namespaces: Sequence[str], match: Sequence[str]) -> str:
    """Return a configuration of the numeric variables whose path fits a pattern (none: all) as YAML.

    Those whose unit leaves open what they are stand there as comments. Raises GatewayError where none is left.
    """
    chosen = [v for v in variables(root) if _is_number(v) and (not match or _fits(v.path, match))]
    points: dict[str, str] = {}
    open_: list[str] = []
    for found in chosen:
        meant, where = meant_by(found.unit), _quoted(address(found.node, namespaces))
        if meant is None or not meant.quantity:
            unit = f"unit {meant.unit}" if meant else "no unit known"
            open_.append(f"              # {_name(found, points)}: {{quantity: ?, opcua: {{node: {where}}}}}  # {unit}")
        else:
            said = f"{{quantity: {meant.quantity}, unit: {meant.unit}, opcua: {{node: {where}}}}}"
            points[_name(found, points)] = said
    if not points:
        raise GatewayError(f"none of {len(chosen)} numeric variables has a unit that says what it is; see the tree")
    lines = [f"              {name}: {said}" for name, said in points.items()]
    return "\n".join([*_head(connection), *lines, *open_, ""])


def address(node: ua.NodeId, namespaces: Sequence[str]) -> str:
    """Return a node with its namespace by URI, which stays when the number changes."""
    bare: str = ua.NodeId(node.Identifier, 0).to_string()
    if node.NamespaceIndex == 0:
        return bare
    if node.NamespaceIndex >= len(namespaces):
        return f"ns={node.NamespaceIndex};{bare}"
    uri = namespaces[node.NamespaceIndex].replace("%", "%25").replace(";", "%3B")
    return f"nsu={uri};{bare}"


def _head(connection: OpcuaConnection) -> list[str]:
    said = [f"protocol: opcua, url: {_quoted(connection.url)}"]
    if connection.security is not None:
        said.append(f"security: {{policy: {connection.security.policy}, message: {connection.security.message}}}")
    if connection.username is not None and connection.password is not None:
        source = connection.password
        secret = f"env: {source.env}" if source.env is not None else f"file: {_quoted(str(source.file))}"
        said.append(f"username: {_quoted(connection.username)}, password: {{{secret}}}")
    return [
        "version: 1",
        "site: {name: works, region: GB}  # yours",
        "connections:",
        f"  plc: {{{', '.join(said)}}}",
        "areas:",
        "  hall:",
        "    assets:",
        "      plc:",
        "        type: meter  # yours",
        "        devices:",
        "          plc:",
        "            connection: plc",
        "            points:",
    ]


def _is_number(found: Found) -> bool:
    variant = found.value.Value if found.value is not None else None
    return variant is not None and variant.VariantType.value in _NUMBERS and not variant.is_array


def _fits(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _name(found: Found, taken: dict[str, str]) -> str:
    """Return a name nobody has yet: the node's own, with its parents' before it as far as needed."""
    steps = [part for step in found.path.split("/") if (part := _UNFIT.sub("_", step).strip("_-"))] or ["value"]
    for count in range(1, len(steps) + 1):
        name = "_".join(steps[-count:])[-64:].lstrip("_-")
        if name not in taken:
            return name
    number = next(n for n in range(2, len(taken) + 3) if f"{name[:58]}_{n}" not in taken)
    return f"{name[:58]}_{number}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
