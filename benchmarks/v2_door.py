"""InfluxDB 2.x writes enter, the same bytes leave as 1.x writes: so that influxdb-client can write to InfluxDB 1.x.

`python -m benchmarks.v2_door PORT URL`. A process of its own, whose CPU time is nobody's.
"""

from __future__ import annotations

import sys

import urllib3
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_PASSED_ON = ("content-encoding", "content-type")


def door(url: str) -> Starlette:
    """Return the application that forwards to the InfluxDB 1.x at `url`; a bucket becomes a database."""
    pool = urllib3.PoolManager(maxsize=8)

    async def write(request: Request) -> Response:
        body = await request.body()
        target = f"{url}/write?db={request.query_params['bucket']}&precision=" + request.query_params["precision"]
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        answer = await run_in_threadpool(pool.request, "POST", target, body=body, headers=headers)
        return Response(answer.data, answer.status)

    async def ping(request: Request) -> Response:
        return Response(status_code=204)

    return Starlette(routes=[Route("/api/v2/write", write, methods=["POST"]), Route("/ping", ping)])


if __name__ == "__main__":
    uvicorn.run(door(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
