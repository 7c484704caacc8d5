"""Energy flows → a picture of them as inline SVG: bands as wide as the energy, from sources to assets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from carbon.report.charts import WIDTH, label, svg
from carbon.report.places import Flow
from carbon.report.words import Words, term

_MOST: Final = 14  # ends of the flow that are drawn one by one
OWN: Final = 3  # the colour of own generation
_NODE, _GAP = 14, 7


Path = tuple[str, str, str, int]  # source, area, asset as shown; energy [mWh]


@dataclass(slots=True)
class _Node:
    name: str
    size: int
    hatch: int = 0
    y: float = 0.0
    out: float = 0.0  # how much of its height is used up by bands that leave
    into: float = 0.0


Key = tuple[str, ...]
Nodes = dict[Key, _Node]


def sankey(flows: Sequence[Flow], words: Words, about: str, hatch_of: Mapping[str, int]) -> Markup:
    """Return energy on its way from sources through areas to assets; the smallest assets are drawn as one.

    `hatch_of`: the colour of each source by its name, as in the other pictures.
    """
    named = _named(flows, words)
    if not named:
        return Markup("")
    columns = [_nodes(named, level) for level in range(3)]
    for node in columns[0].values():
        node.hatch = hatch_of.get(node.name, OWN)
    height = 60 + 26 * max(len(column) for column in columns) + 160
    most = max(len(column) for column in columns)
    total = sum(energy for *_, energy in named)
    scale = (height - 40 - _GAP * (most - 1) - 10) / total
    for column in columns:
        y = 28.0
        for node in column.values():
            node.y, y = y, y + max(node.size * scale, 1.0) + _GAP + _spare(node.size * scale)
    xs = (4.0, WIDTH / 2 - 110, WIDTH - 250.0)
    parts = [*_bands(named, columns, xs, scale)]
    for level, column in enumerate(columns):
        for node in column.values():
            parts += _drawn(node, xs[level], node.size * scale, words)
    bottom = max(n.y + n.size * scale for column in columns for n in column.values()) + 26
    return Markup("<figure>{}</figure>").format(svg(int(bottom), about, parts))


def _spare(height: float) -> float:
    """Return the room a node needs below itself so that its two lines of text do not run into the next."""
    return max(0.0, 26 - height)


def _named(flows: Sequence[Flow], words: Words) -> list[Path]:
    """Return flows between names as shown, those to the smallest ends gathered by area."""
    ends: dict[tuple[str, str], int] = {}
    for flow in flows:
        ends[flow.area, flow.asset] = ends.get((flow.area, flow.asset), 0) + flow.energy
    large = sorted(ends, key=lambda end: -ends[end])[:_MOST]
    few: dict[tuple[str, str, str], int] = {}
    for flow in flows:
        source = words("chart.own") if flow.source == "own" else words.say(term("carrier", flow.source))
        asset = flow.asset or words("unaccounted")
        if (flow.area, flow.asset) not in large:
            asset = words("chart.others", count=sum(1 for a, n in ends if a == flow.area and (a, n) not in large))
        key = source, flow.area, asset
        few[key] = few.get(key, 0) + flow.energy
    return [(*key, energy) for key, energy in few.items()]


def _nodes(named: Sequence[Path], level: int) -> Nodes:
    nodes: Nodes = {}
    for source, area, asset, energy in named:
        keys: tuple[Key, Key, Key] = ((source,), (area,), (area, asset))
        key = keys[level]
        nodes.setdefault(key, _Node(key[-1], 0)).size += energy
    areas = _sizes(named) if level == 2 else {}
    return dict(sorted(nodes.items(), key=lambda item: (-areas.get(item[0][0], 0), -item[1].size)))


def _sizes(named: Sequence[Path]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for _, area, _, energy in named:
        sizes[area] = sizes.get(area, 0) + energy
    return sizes


def _bands(named: Sequence[Path], columns: Sequence[Nodes], xs: Sequence[float], scale: float) -> Iterator[Markup]:
    for level in (0, 1):
        flows: dict[tuple[Key, Key, str], int] = {}
        for source, area, asset, energy in named:
            ends: tuple[Key, Key] = ((source,), (area,)) if level == 0 else ((area,), (area, asset))
            here, there = ends
            flows[here, there, source] = flows.get((here, there, source), 0) + energy
        order = [{key: i for i, key in enumerate(column)} for column in columns]
        for here, there, source in sorted(flows, key=lambda f: (order[level][f[0]], order[level + 1][f[1]], f[2])):
            start, end = columns[level][here], columns[level + 1][there]
            size, hatch = flows[here, there, source] * scale, columns[0][(source,)].hatch
            yield _band(xs[level] + _NODE, start.y + start.out, xs[level + 1], end.y + end.into, size, hatch)
            start.out, end.into = start.out + size, end.into + size


def _band(x0: float, y0: float, x1: float, y1: float, size: float, hatch: int) -> Markup:
    middle = (x0 + x1) / 2
    path = Markup('<path class="band c{}" d="M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}'
                  'v{:.2f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}z"/>')  # fmt: skip
    return path.format(
        hatch, x0, y0, middle, y0, middle, y1, x1, y1, max(size, 0.5), middle, y1 + size, middle, y0 + size, x0,
        y0 + size,
    )  # fmt: skip


def _drawn(node: _Node, x: float, height: float, words: Words) -> list[Markup]:
    name = node.name if len(node.name) <= 34 else node.name[:33] + "…"
    shown = f"{words.grouped(round(node.size / 1e6), 0)} kWh"
    text = Markup('<text class="over" x="{:.1f}" y="{:.1f}">{}<title>{}</title></text>')
    return [
        Markup('<rect class="node" x="{:.1f}" y="{:.1f}" width="{}" height="{:.2f}"/>')
        .format(x, node.y, _NODE, max(height, 1.0)),
        text.format(x + _NODE + 6, node.y + 10, name, node.name),
        label(x + _NODE + 6, node.y + 23, shown, "start", "soft over"),
    ]  # fmt: skip
