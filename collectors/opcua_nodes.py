"""Where points stand, as the user writes it → nodes of the server that is connected now, resolved once a session.

The number of a namespace may change whenever a server starts; its URI does not. A browse path is translated by the
server. What cannot be resolved carries a status and words, and is asked again when it is wanted again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from asyncua import ua

from collectors.opcua_limits import Limits, in_parts
from config.protocols.opcua import OpcuaPoint, PathName, node_parts, path_names

_WHOLE: Final = 0xFFFF_FFFF  # index of what remains of a path: nothing
_HIERARCHICAL: Final = ua.NodeId(ua.ObjectIds.HierarchicalReferences)
_NAMESPACES: Final = ua.NodeId(ua.ObjectIds.Server_NamespaceArray)
_OBJECTS: Final = ua.NodeId(ua.ObjectIds.ObjectsFolder)


class Place(NamedTuple):
    """The node of a point, or why it has none."""

    node: ua.NodeId | None
    status: int = 0
    words: str = ""


class Places:
    """The nodes of a session's points; `session` is the library's, which sends what is asked."""

    def __init__(self, session: Any, limits: Limits) -> None:
        self.namespaces: list[str] = []
        self._session = session
        self._limits = limits
        self._found: dict[OpcuaPoint, Place] = {}
        self._tried_s: dict[OpcuaPoint, float] = {}

    def __getitem__(self, point: OpcuaPoint) -> Place:
        """Return where a point was found at the last `locate`."""
        return self._found[point]

    def has(self, point: OpcuaPoint) -> bool:
        """Return whether a point has a node."""
        return point in self._found and self._found[point].node is not None

    def lost(self, points: Iterable[OpcuaPoint], again_s: float) -> list[OpcuaPoint]:
        """Return the points without a node that nobody has looked for within `again_s` [s]."""
        long_ago = time.monotonic() - again_s
        return [p for p in dict.fromkeys(points) if not self.has(p) and self._tried_s.get(p, -math.inf) <= long_ago]

    async def locate(self, points: Iterable[OpcuaPoint]) -> None:
        """Find the nodes of points; raises what the library raises when the server is gone."""
        paths, now_s = [], time.monotonic()
        (namespaces,) = await self._session.read_attributes([_NAMESPACES], ua.AttributeIds.Value)
        self.namespaces = list(namespaces.Value.Value or []) if namespaces.Value is not None else []
        for point in points:
            self._tried_s[point] = now_s
            if point.node is not None:
                self._found[point] = self._by_id(point.node)
            else:
                paths.append(point)
        tried = [(point, names) for point in paths for names in self._variants(path_names(point.path or ""))]
        hits: dict[OpcuaPoint, list[ua.NodeId]] = {point: [] for point in paths}
        asked = [_browse_path(names) for _, names in tried]
        results = await in_parts(asked, self._limits, "translate", self._session.translate_browsepaths_to_nodeids)
        for (point, _), result in zip(tried, results, strict=True):
            if result.StatusCode.is_good():
                hits[point] += [_plain(t.TargetId) for t in result.Targets if t.RemainingPathIndex == _WHOLE]
        for point, nodes in hits.items():
            self._found[point] = _of_path(point.path or "", list(dict.fromkeys(nodes)))

    def _by_id(self, text: str) -> Place:
        namespace, identifier = node_parts(text)
        index = self._index(namespace)
        return Place(ua.NodeId(identifier, index)) if index is not None else self._no_namespace(str(namespace))

    def _index(self, namespace: int | str) -> int | None:
        if isinstance(namespace, int):
            return namespace
        return self.namespaces.index(namespace) if namespace in self.namespaces else None

    def _no_namespace(self, uri: str) -> Place:
        there = ", ".join(self.namespaces[1:]) or "none of its own"
        return Place(None, ua.StatusCodes.BadNodeIdUnknown, f"the server has no namespace '{uri}'; it has: {there}")

    def _variants(self, names: Sequence[PathName]) -> list[list[ua.QualifiedName]]:
        """Return a path with its names qualified; where the first says no namespace, once for each there is."""
        starts: Sequence[int] = [0] if names[0].namespace is not None else range(len(self.namespaces))
        variants = []
        for current in starts:
            qualified = []
            for name in names:
                index = current if name.namespace is None else self._index(name.namespace)
                if index is None:
                    return []
                current = index  # a name without a namespace stands in the one of the name before
                qualified.append(ua.QualifiedName(name.name, index))
            variants.append(qualified)
        return variants


def _of_path(path: str, nodes: Sequence[ua.NodeId]) -> Place:
    if len(nodes) == 1:
        return Place(nodes[0])
    if nodes:
        several = ", ".join(node.to_string() for node in nodes[:3])
        words = f"the path '{path}' leads to {len(nodes)} nodes ({several}); name the namespace: nsu=…;Name"
    else:
        words = f"the path '{path}' leads nowhere; a name in another namespace than the one before is nsu=…;Name"
    return Place(None, ua.StatusCodes.BadNoMatch, words)


def _browse_path(names: Sequence[ua.QualifiedName]) -> ua.BrowsePath:
    elements = [ua.RelativePathElement(_HIERARCHICAL, False, True, name) for name in names]
    return ua.BrowsePath(_OBJECTS, ua.RelativePath(elements))


def _plain(node: Any) -> ua.NodeId:
    """Return a node of this server without the parts of an expanded one, so that it compares."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex)
