"""A gateway in small, to be killed: replays a numbered log into the history from its cursor, for ever.

python -m tests.sinks.history_writer DIRECTORY SEED
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from pipeline.batch import Batch
from tests.sinks.history_oracle import Row, S, batch, opened

PER_POSITION = 7


def log(after: int, upto: int) -> list[Row]:
    """Return the log's rows of positions (after, upto]: value = running number, so that each can be told apart."""
    numbers = range(after * PER_POSITION, upto * PER_POSITION)
    return [Row(n % 3, (n // 3) * S, float(n)) for n in numbers]


def logged(after: int, upto: int) -> Batch:
    return batch(log(after, upto)) if upto > after else batch([])


async def write_for_ever(folder: Path, seed: int) -> None:
    history = await opened(folder)
    choose = random.Random(seed)
    print("open", flush=True)
    while True:
        upto = history.cursor + choose.randint(1, 20)
        await history.write(logged(history.cursor, upto), history.cursor, upto)
        if choose.random() < 0.2:
            await history.compact()


if __name__ == "__main__":
    asyncio.run(write_for_ever(Path(sys.argv[1]), int(sys.argv[2])))
