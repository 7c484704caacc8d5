"""Device templates and what pins them → docs/devices.md: `python -m tests.devices [--check]`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from config.generated import generate
from config.points import Point, Template
from config.templates import load_all
from tests.pinned import vectors

FILE: Final = Path(__file__).parents[1] / "docs" / "devices.md"
NAMES: Final = {"modbus": "Modbus", "dlt645": "DL/T 645", "mqtt": "MQTT", "opcua": "OPC UA", "sparkplug": "Sparkplug B"}
INTRO: Final = """\
# Devices

Written by `make devices` from `config/templates/` and `tests/data/templates/`; change them there. A device not listed
is described by points of its own, or by a template of yours: [config/](../config/README.md#add-one).

`template: <name>` in `gateway.yaml` takes all points of a template, `only:` some of them. **Energy registers** are what
is accounted by, with the type and the step of the register; a float's step grows with its value. **Confidence** is that
of the sources: below "high", compare with the device's display before you trust it (`tanflow check` says so too when it
is low). **Pinned by** says by whose bytes every point is tested: captures of devices, examples of manuals, what
programs of others read in registers, or a second transcription of a public table, turned into registers by pymodbus
([how](../tests/data/templates/SOURCE.md)). No device stood on our desk.
"""


def text() -> str:
    """Return the document."""
    templates = sorted(load_all().values(), key=lambda t: (t.vendor.casefold(), t.id))
    lines = [INTRO, "| device | template | protocol | points | energy registers | confidence | pinned by |"]
    lines += ["|---|---|---|---|---|---|---|", *map(_row, templates), "", "## Notes and sources", ""]
    for template in templates:
        lines += _details(template)
    return "\n".join(lines) + "\n"


def _row(template: Template) -> str:
    cells = (
        f"{template.vendor} {template.model}",
        f"`{template.id}`",
        NAMES[template.protocol],
        str(len(template.points)),
        ", ".join(_energies(template)) or "none",
        template.confidence,
        _pins(template),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _energies(template: Template) -> Iterator[str]:
    """Yield the registers of energy drawn and fed in, and how many more there are."""
    found = {name: p for name, p in template.points.items() if p.quantity == "energy_index"}
    first = [name for name in ("energy_import", "energy_export") if name in found]
    for name in first:
        yield f"{name} ({_register(found[name])})"
    if len(found) > len(first):
        yield f"{len(found) - len(first)} more"


def _register(point: Point) -> str:
    if point.dlt645:
        return f"{point.dlt645.form.text} {point.unit}"
    kind = point.modbus.type if point.modbus else "number"
    return f"{kind}, {point.unit}" if kind.startswith("float") else f"{kind}, {point.scale:g} {point.unit}"


def _pins(template: Template) -> str:
    if template.protocol == "dlt645":
        return "frames of meters, PyPI dlt645"
    pinned = vectors(template.id)
    if not pinned:
        return "frames of its protocol's tests"
    kinds = Counter(v.kind for v in pinned)
    told = [f"{count} × {kind}" if count > 1 else kind for kind, count in sorted(kinds.items())]
    return f"{', '.join(told)}: {sum(len(v.expected) for v in pinned)} values"


def _details(template: Template) -> Iterator[str]:
    yield f"### {template.vendor} {template.model}"
    yield ""
    yield f"`{template.id}`: {', '.join(template.points)}."
    yield ""
    if template.shows:
        yield f"Shows {template.shows}-side values."
        yield ""
    if template.notes:
        yield template.notes.strip()
        yield ""
    yield from (f"- {source}" for source in template.source)
    yield from (f"- {name}: {p.source}" for name, p in template.points.items() if p.source)
    yield ""


def main(arguments: Sequence[str]) -> int:
    """Write the document, or with --check compare it; return the exit code."""
    return generate(lambda: {FILE: text()}, arguments, "tests.devices", "make devices")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
