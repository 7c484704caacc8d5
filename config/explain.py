"""Pydantic's errors → sentences a person can act on; what might be a secret is never quoted."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from config import strict
from config.protocols import PROTOCOLS

Loc = tuple[str | int, ...]
_NAMES: Final = "letters, digits, '-' and '_' only, a letter or digit first"
_FORMS: Final = {
    strict.NAME: f"cannot be a name: {_NAMES}",
    r"^(ns=\d+;|nsu=[^;]+;)?[isgb]=.+$": "is not a node; write e.g. ns=2;s=Furnace.T1 or ns=2;i=1001",
    r"^opc\.tcp://[^\s]+$": "must look like opc.tcp://host:4840",
    r"^https?://[^\s]+$": "must look like http://host:8086",
    r"^(15|30|60)min$": "must be 15min, 30min or 60min",
    r"^(15min|30min|60min|shift|day|month)$": "must be 15min, 30min, 60min, shift, day or month",
    r"^[0-9A-Fa-f]{8}$": 'must be the eight digits DI3 … DI0 of a data identifier in quotes, e.g. "00010000"',
    r"^X+(\.X+)?$": "must be a format of digits, e.g. XXXXXX.XX",
    r"^[^\W_][\w-]*(\.[^\W_][\w-]*)?$": "must be the name of a window, or asset.kpi",
}
_HIDDEN: Final = re.compile(r"pass|token|secret|url|user|key|host", re.IGNORECASE)
_SECRET: Final = "a secret is never written here; write {env: VARIABLE} or {file: path}"
_TAGS: Final = {
    "protocol": ", ".join(PROTOCOLS),
    "provider": "electricity_maps, uk_carbon_intensity, http_json",
}
_BLOCKS: Final = ("dict_type", "model_type", "model_attributes_type", "mapping_type")
_SENTENCES: Final = {
    "string_type": "must be text",
    "path_type": "must be the path of a file",
    "finite_number": "must be an ordinary number",
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list, e.g. [a, b]"),
    **dict.fromkeys(_BLOCKS, "must be a block of 'key: value' lines"),
}


def visible(text: str) -> str:
    """Return a text that prints as one line whatever was written: what cannot be seen is shown as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?", or what is known while that fits in a line, or nothing."""
    names = sorted(known)
    alike = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if alike:
        return f"; did you mean '{alike[0]}'?"
    listed = ", ".join(names)
    return f"; known here: {listed}" if listed and len(listed) <= 240 else ""


def explain(error: ErrorDetails, root: type[BaseModel], written: str = "") -> str:
    """Return what is wrong and what would be right; `written` is a number as it stands in the file."""
    kind, loc, value = error["type"], error["loc"], error["input"]
    context: Mapping[str, Any] = error.get("ctx", {})
    last = str(loc[-1]) if loc else ""
    if kind == "missing":
        return "needs more values" if isinstance(loc[-1], int) else f"needs '{last}:'"
    if kind == "extra_forbidden":
        known = _fields(root, loc[:-1])
        return f"unknown key{nearest(last, known)}"
    if kind == "value_error":
        return str(context["error"])
    if _is_secret(loc):
        return _SECRET
    if kind == "literal_error" and isinstance(value, str) and (meant := _meant(value, str(context["expected"]))):
        return f"'{value}' is not known here{meant}"
    return _by_kind(kind, context, error["msg"]) + _quoted(kind, loc, value, context, written)


def _is_secret(loc: Loc) -> bool:
    return any(part in ("password", "token") for part in loc)


def _by_kind(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind.startswith("time"):
        return 'must be a time of day in quotes, e.g. "08:00"'
    if kind == "string_pattern_mismatch":
        return _FORMS.get(context["pattern"], f"must match {context['pattern']}")
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind.startswith("union_tag"):
        key = str(context["discriminator"]).strip("'")
        return f"needs '{key}:' with one of {context.get('expected_tags', _TAGS.get(key, 'those known'))}"
    return re.sub(r"^(Input|String|Tuple|Value|Data|Dictionary) should", "must", message)


def _quoted(kind: str, loc: Loc, value: Any, context: Mapping[str, Any], written: str) -> str:
    """Return what was found and what may have been meant, where that cannot give a secret away."""
    if "tag" in context:
        return f", not '{context['tag']}'{_meant(str(context['tag']), str(context['expected_tags']))}"
    if isinstance(value, dict | list | BaseModel) or any(_HIDDEN.search(str(part)) for part in loc):
        return ""
    text = _shown(value, written)
    if kind in _BLOCKS or not text:
        return ""
    if kind == "string_type":
        return f"; put it in quotes: '{text}'" if value is not None else f", not {text}"
    if kind == "literal_error":
        expected = str(context["expected"])
        if f"'{value}'" in expected:
            return f"; put it in quotes: '{value}'"
        return f", not {text}"
    return f" (here {text})" if kind == "string_pattern_mismatch" else f", not {text}"


def _shown(value: Any, written: str) -> str:
    """Return a scalar as it stands in the file, "" for one that is long or looks like a login."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        text = str(value).lower()
    else:
        text = f"'{value}'" if isinstance(value, str) else written or str(value)
    return "" if len(text) > 80 or "@" in text else text


def _meant(word: str, expected: str) -> str:
    alike = difflib.get_close_matches(word, re.findall(r"'([^']+)'", expected), n=1, cutoff=0.6)
    return f"; did you mean '{alike[0]}'?" if alike else ""


def _fields(root: type[BaseModel], path: Loc) -> list[str]:
    """Return the keys the block at `path` may have; empty when its type cannot be told."""
    here: Any = root
    for part in path:
        here = _step(here, part)
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [field.alias or name for name, field in here.model_fields.items()]


def _step(kind: Any, part: str | int) -> Any:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return _bare(field.annotation) if field else None
    if get_origin(kind) is dict:
        return _bare(get_args(kind)[1])
    if get_origin(kind) is tuple:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):  # the part is the tag that tells the members apart
        return next((m for m in map(_bare, get_args(kind)) if _tagged(m, str(part))), None)
    return None


def _bare(kind: Any) -> Any:
    """Return a type without Annotated and without "or None"."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        members = [m for m in get_args(kind) if m is not type(None)]
        return _bare(members[0]) if len(members) == 1 else kind
    return kind


def _tagged(member: Any, tag: str) -> bool:
    if not (isinstance(member, type) and issubclass(member, BaseModel)):
        return False
    fields = [member.model_fields.get(key) for key in ("protocol", "type", "provider")]
    return any(f is not None and tag.removeprefix("type ") in get_args(f.annotation) for f in fields)
