"""A history that is damaged on the disk: no backup that looks sound is made of it, and the file is named."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from config.errors import GatewayError
from pipeline.batch import COLUMNS, DTYPES
from sinks.history_parquet import Parquet
from sinks.parquet_file import ParquetFile
from tanflow.backup.taking import take


def test_a_damaged_gateway_makes_no_backup_that_looks_sound(earlier: Path, tmp_path: Path) -> None:
    [file, *_] = (earlier / "history" / "raw").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(GatewayError, match="not sound"):
        take(earlier, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()


def test_a_bit_that_flipped_in_the_history_is_told_with_its_file(earlier: Path, tmp_path: Path) -> None:
    """In a value: the file can be read, and holds as many rows of the same times."""
    [path, *_] = (earlier / "history" / "raw").glob("*.parquet")
    rows = Parquet().read([path], COLUMNS)
    file = ParquetFile(path, DTYPES)
    file.append(rows)
    file.close()
    take(earlier, tmp_path / "sound")
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data)):
        data[at] ^= 1
        path.write_bytes(data)
        with suppress(OSError):
            read = Parquet().read([path], COLUMNS)
            if len(read["value"]) == len(rows["value"]) and not np.array_equal(read["value"], rows["value"]):
                break  # nobody but the check sum can tell
        data[at] ^= 1
    with pytest.raises(GatewayError, match=rf"{path.name} has changed since it was written"):
        take(earlier, tmp_path / "backup")
