"""An open session → the nodes below one, with types, units, ranges and values; bounded in depth and number.

Only Browse, BrowseNext and Read are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from asyncua import ua

from collectors.opcua_limits import in_parts
from collectors.opcua_session import Session

_HIERARCHICAL: Final = ua.NodeId(ua.ObjectIds.HierarchicalReferences)
_PROPERTY: Final = ua.NodeId(ua.ObjectIds.HasProperty)
_SERVER: Final = ua.NodeId(ua.ObjectIds.Server)  # its own diagnostics: hundreds of nodes nobody looks for
_CLASSES: Final = ua.NodeClass.Object | ua.NodeClass.Variable
_MASK: Final = ua.BrowseResultMask.BrowseName | ua.BrowseResultMask.NodeClass | ua.BrowseResultMask.ReferenceTypeId
_PER_NODE: Final = 1_000  # references in one answer; the rest is asked for


@dataclass(slots=True)
class Found:
    """One node of the tree; `value` stands with variables only."""

    node: ua.NodeId
    name: str
    variable: bool
    depth: int
    path: str = ""
    children: list[Found] = field(default_factory=list)
    value: ua.DataValue | None = None
    unit: ua.EUInformation | None = None
    range: ua.Range | None = None


@dataclass(slots=True)
class Tree:
    """What was found below a node; `cut` says whether a bound ended the search."""

    root: Found
    count: int = 1
    cut: str = ""


async def browse(
    session: Session, node: ua.NodeId, depth: int, most: int, progress: Callable[[int], object] = lambda _: None
) -> Tree:
    """Walk down from `node`, level by level; each node is met once, so that a cycle ends.

    Raises what the library raises where the server does not answer.
    """
    tree = Tree(Found(node, "", False, 0))
    seen, level, properties = {node}, [tree.root], []
    while level:
        below: list[Found] = []
        nodes = [found.node for found in level]
        asked = await in_parts(nodes, session.limits, "browse", partial(_references, session))
        for parent, references in zip(level, asked, strict=True):
            properties += [(parent, r) for r in references if r.ReferenceTypeId == _PROPERTY]
            for child in _children(parent, references, seen):
                if parent.depth >= depth:
                    tree.cut = f"there is more below depth {depth}; ask with --depth or --node"
                elif tree.count >= most:
                    tree.cut = f"only the first {most} nodes are shown; ask with --max or --node"
                else:
                    seen.add(child.node)
                    parent.children.append(child)
                    below.append(child)
                    tree.count += 1
        progress(tree.count)
        level = below
    await _read(session, tree.root, properties)
    return tree


def variables(found: Found) -> list[Found]:
    """Return all variables of a tree, parents before children."""
    return ([found] if found.variable else []) + [v for child in found.children for v in variables(child)]


def _children(parent: Found, references: Sequence[Any], seen: set[ua.NodeId]) -> list[Found]:
    found = []
    for reference in references:
        node = ua.NodeId(reference.NodeId.Identifier, reference.NodeId.NamespaceIndex)
        if reference.ReferenceTypeId != _PROPERTY and node not in seen and node != _SERVER:
            name = reference.BrowseName.Name or ""
            variable = reference.NodeClass == ua.NodeClass.Variable
            found.append(Found(node, name, variable, parent.depth + 1, f"{parent.path}/{name}".lstrip("/")))
    return found


async def _references(session: Session, nodes: Sequence[ua.NodeId]) -> list[list[Any]]:
    """Return the references of nodes downwards, also those of further answers."""
    wanted = [ua.BrowseDescription(n, ua.BrowseDirection.Forward, _HIERARCHICAL, True, _CLASSES, _MASK) for n in nodes]
    request = ua.BrowseParameters(RequestedMaxReferencesPerNode=_PER_NODE, NodesToBrowse=wanted)
    results = await session.client.uaclient.session.browse(request)
    found = [list(r.References or []) for r in results]
    points = {i: r.ContinuationPoint for i, r in enumerate(results) if r.ContinuationPoint}
    while points:
        answers = await in_parts(list(points.values()), session.limits, "browse", partial(_more, session))
        for i, answer in zip(points, answers, strict=True):
            found[i] += answer.References or []
        points = {i: a.ContinuationPoint for i, a in zip(points, answers, strict=True) if a.ContinuationPoint}
    return found


async def _more(session: Session, points: Sequence[bytes]) -> Sequence[Any]:
    request = ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=list(points))
    answers: Sequence[Any] = await session.client.uaclient.session.browse_next(request)
    return answers


async def _read(session: Session, root: Found, properties: Sequence[tuple[Found, Any]]) -> None:
    """Read the values of all variables, and the units and ranges that stand as properties beside them."""
    all_variables = variables(root)
    described = [(f, r) for f, r in properties if r.BrowseName.Name in ("EngineeringUnits", "EURange")]
    nodes = [f.node for f in all_variables]
    nodes += [ua.NodeId(r.NodeId.Identifier, r.NodeId.NamespaceIndex) for _, r in described]
    values = await session.attributes([ua.ReadValueId(node, ua.AttributeIds.Value) for node in nodes])
    for found, value in zip(all_variables, values, strict=False):
        found.value = value
    for (found, _), value in zip(described, values[len(all_variables) :], strict=True):
        what = value.Value.Value if value.Value is not None else None
        if isinstance(what, ua.EUInformation):
            found.unit = what
        elif isinstance(what, ua.Range):
            found.range = what
