"""An answer's columns → JSON-ready columns per series, or CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import orjson
from starlette.responses import Response

from pipeline.quality import describe
from sinks.history_query import Answer

if TYPE_CHECKING:
    from tanflow.web.history.query import Asked

_CSV_HEAD: Final = "time,time_ns,series,unit,value,quality,bits,bad\r\n"


def iso(time_ns: npt.NDArray[np.int64]) -> list[str]:
    """Return times as ISO 8601 in UTC, to the millisecond."""
    texts: list[str] = np.datetime_as_string(time_ns.astype("datetime64[ns]"), unit="ms").tolist()
    return [text + "Z" for text in texts]


def dumps(content: Any) -> bytes:
    """Return JSON; a value that is not a number becomes null."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def answered(content: Any, status: int = 200) -> Response:
    """Return an answer of JSON."""
    return Response(dumps(content), status, media_type="application/json")


def as_json(asked: Asked, answer: Answer) -> dict[str, Any]:
    """Return the answer as columns per asked series; `bits` is its quality, `span_ns` what a row covers."""
    series = []
    for number, about in zip(asked.series, asked.about, strict=True):
        # Rows are sorted by series, so one series is one slice.
        begin, end = np.searchsorted(answer.series, [number, number + 1])
        rows = slice(int(begin), int(end))
        series.append(
            {
                "key": about.key,
                "unit": asked.unit(about),
                "time_ns": answer.time_ns[rows],
                "span_ns": answer.span_ns[rows],
                "value": answer.value[rows],
                "bits": answer.quality[rows],
                "bad": answer.bad[rows],
            }
        )
    return {
        "from_ns": asked.start_ns,
        "to_ns": asked.end_ns,
        "step_ns": asked.step_ns,
        "aggregate": asked.aggregate if asked.step_ns else None,
        "rows": len(answer),
        "series": series,
    }


def as_csv(asked: Asked, answer: Answer) -> str:
    """Return the answer as CSV with a head line; an unknown value is an empty field."""
    names = {n: f"{about.key},{asked.unit(about)}" for n, about in zip(asked.series, asked.about, strict=True)}
    words = {bits: f'"{describe(bits)}"' for bits in np.unique(answer.quality).tolist()}
    columns = (answer.time_ns, answer.series, answer.value, answer.quality, answer.bad)
    lines = [
        f"{time},{ns},{names[series]},{value if value == value else ''},{words[bits]},{bits},{bad}\r\n"
        for time, ns, series, value, bits, bad in zip(
            iso(answer.time_ns), *(column.tolist() for column in columns), strict=True
        )
    ]
    return _CSV_HEAD + "".join(lines)
