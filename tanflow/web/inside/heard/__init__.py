"""What a device said last → JSON-ready data for its commissioning, one module for each protocol."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.clock import SECOND_NS
from tanflow.web.encode import iso


def when(at_ns: int, now_ns: int) -> dict[str, Any]:
    return {"at": iso(np.array([at_ns]))[0], "at_ns": at_ns, "age_s": round((now_ns - at_ns) / SECOND_NS, 3)}
