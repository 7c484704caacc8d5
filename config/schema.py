"""The models → `gateway.schema.json`, with which editors complete and check gateway.yaml while it is written.

`python -m config.schema` writes it, `--check` fails if it is not what the models say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from config.generated import generate
from config.model import Gateway
from config.quantities import QUANTITIES
from config.templates import load_all

FILE: Final = Path(__file__).with_name("gateway.schema.json")


def schema() -> dict[str, Any]:
    """Return the JSON schema of gateway.yaml, with the names of quantities and templates to choose from."""
    data = Gateway.model_json_schema()
    definitions = data["$defs"]
    definitions["Point"]["properties"]["quantity"]["enum"] = [
        name for name, q in QUANTITIES.items() if q.measurement in ("energy", "process") and q.kind != "delta"
    ]
    branches = definitions["Device"]["properties"]["template"]["anyOf"]
    next(b for b in branches if b["type"] == "string")["enum"] = sorted(load_all())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **data}


def text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the file, or with --check compare it; return the exit code."""
    return generate(lambda: {FILE: text()}, arguments, "config.schema")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
