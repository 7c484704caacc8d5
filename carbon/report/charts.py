"""Figures of a report → pictures as inline SVG: they print, need no script, and can be told apart without colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

PATTERNS: Final = 8  # colours and hatches that report.css and `hatches` hold
WIDTH: Final = 960
_LEFT, _TOP, _BOTTOM, _RIGHT = 76, 30, 34, 8


@dataclass(frozen=True, slots=True)
class Series:
    """One layer of stacked bars: its name, which of the hatches it has, and one value a bar."""

    name: str
    hatch: int
    values: Sequence[float]


def hatches() -> Markup:
    """Return the definitions every picture's fills refer to: colour below, lines of its own above."""
    lines = (
        "", "M0 8L8 0M-2 2L2-2M6 10L10 6", "M0 4H8", "M4 0V8", "M0 0L8 8M-2 6L2 10M6-2L10 2", "M0 4H8M4 0V8",
        "M0 0L8 8M8 0L0 8", "M2 2h1v1h-1zM6 6h1v1h-1z",
    )  # fmt: skip
    parts = [
        Markup('<pattern id="h{}" width="8" height="8" patternUnits="userSpaceOnUse">'
               '<rect width="8" height="8" class="c{}"/><path d="{}" class="hatch"/></pattern>').format(n, n, path)
        for n, path in enumerate(lines)
    ]  # fmt: skip
    svg = Markup('<svg class="defs" width="0" height="0" aria-hidden="true"><defs>{}</defs></svg>')
    return svg.format(Markup("").join(parts))


def stacked(
    labels: Sequence[str], layers: Sequence[Series], unit: str, about: str, marks: Series | None = None
) -> Markup:
    """Return bars of layers on each other, one a label, with an optional mark on each."""
    tops = [sum(layer.values[i] for layer in layers) for i in range(len(labels))]
    highest = max([*tops, *(marks.values if marks else ()), 0.0])
    step = _step(highest)
    height, ceiling = 300, max(step, -(-highest // step) * step)
    scale = (height - _TOP - _BOTTOM) / ceiling
    parts = [_axis(step, ceiling, scale, height, unit)]
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    bar = min(slot * 0.62, 72)
    for i, name in enumerate(labels):
        x, base = _LEFT + slot * (i + 0.5) - bar / 2, float(height - _BOTTOM)
        for layer in layers:
            size = max(layer.values[i], 0.0) * scale
            base -= size
            title = f"{name} · {layer.name}: {layer.values[i]:,.3f} {unit}"
            parts.append(_box(x, base, bar, size, layer.hatch, title))
        if marks:
            y = height - _BOTTOM - marks.values[i] * scale
            parts.append(Markup('<path class="mark" d="M{:.1f} {:.1f}h{:.1f}"/>').format(x - 5, y, bar + 10))
        parts.append(label(x + bar / 2, height - 12, name, "middle"))
    legend = _legend(layers, marks)
    return Markup("<figure>{}{}</figure>").format(svg(height, about, parts), legend)


def _step(highest: float) -> float:
    """Return a round distance between lines such that four to eight of them reach the highest value."""
    if highest <= 0:
        return 1.0
    size = 1e-12
    while True:
        for factor in (1, 2, 5):
            if highest / (size * factor) <= 6:
                return size * factor
        size *= 10


def _round(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.6g}"


def _axis(step: float, ceiling: float, scale: float, height: int, unit: str) -> Markup:
    parts = []
    for i in range(round(ceiling / step) + 1):
        y = height - _BOTTOM - i * step * scale
        parts.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, y, WIDTH - _RIGHT))
        parts.append(label(_LEFT - 8, y + 4, _round(i * step), "end"))
    parts.append(label(_LEFT - 8, 10, unit, "end"))
    return Markup("").join(parts)


def _legend(layers: Iterable[Series], marks: Series | None) -> Markup:
    items = [
        Markup('<li><svg class="key" viewBox="0 0 14 14"><rect width="14" height="14" fill="url(#h{})"/></svg>{}</li>')
        .format(layer.hatch, layer.name)
        for layer in layers
    ]  # fmt: skip
    if marks:
        key = Markup('<li><svg class="key" viewBox="0 0 14 14"><path class="mark" d="M0 7h14"/></svg>{}</li>')
        items.append(key.format(marks.name))
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def svg(height: int, about: str, parts: Iterable[Markup]) -> Markup:
    picture = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return picture.format(WIDTH, height, about, Markup("").join(parts))


def _box(x: float, y: float, width: float, height: float, hatch: int, title: str) -> Markup:
    box = Markup('<rect class="box" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.2f}" fill="url(#h{})">'
                 "<title>{}</title></rect>")  # fmt: skip
    return box.format(x, y, width, height, hatch, title)


def label(x: float, y: float, text: str, anchor: str, sort: str = "") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" class="{}">{}</text>').format(x, y, anchor, sort, text)
