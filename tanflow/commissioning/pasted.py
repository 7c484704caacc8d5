"""Blocks of a configuration → YAML a person pastes, short blocks on one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

_LINE: Final = 80  # of a block written on one line [characters]


# Text our reader would take for a number though PyYAML's would not: 1e5, 0o17, 007.
_NUMBER: Final = re.compile(r"[-+]?\.?[0-9]")


class _Dumper(yaml.SafeDumper):
    """Quotes whatever could be read as a number."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _NUMBER.match(text) else None)


_Dumper.add_representer(str, _text)


def yaml_of(block: Mapping[str, Any], inline: frozenset[str] = frozenset(), *, short: bool = False) -> str:
    """Return YAML whose blocks below the keys in `inline` (`short`: all) stand on one line each, where they fit."""
    return "\n".join(_lines(block, 0, inline, short=short)) + "\n"


def scalar(value: Any) -> str:
    """Return a value as YAML writes it on one line; text that could be read as something else is quoted."""
    written = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False
    )
    return written.removesuffix("\n...\n").removesuffix("\n")


def _lines(block: Mapping[str, Any], depth: int, inline: frozenset[str], *, short: bool = False) -> list[str]:
    lines = []
    for key, value in block.items():
        start = f"{'  ' * depth}{scalar(key)}:"
        if isinstance(value, Mapping) and value:
            flow = scalar(value)
            if short and len(start) + len(flow) < _LINE:
                lines.append(f"{start} {flow}")
            else:
                lines += [start, *_lines(value, depth + 1, inline, short=short or key in inline)]
        else:
            lines.append(f"{start} {scalar(value)}")
    return lines
