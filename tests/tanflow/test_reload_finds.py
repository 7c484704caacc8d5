"""A reload finds the gateway that follows its file, whichever way the file was named when it was started."""

from __future__ import annotations

from pathlib import Path

import pytest

from tanflow.commands.reload import _runs


@pytest.mark.parametrize(
    ("arguments", "follows"),
    [
        ("tanflow run", True),
        ("tanflow run -c gateway.yaml", True),
        ("tanflow run -c../plant/gateway.yaml", True),
        ("python -m tanflow run --config=gateway.yaml --verbose", True),
        ("tanflow run -c other.yaml", False),
        ("tanflow run -cother.yaml", False),
        ("tanflow check -c gateway.yaml", False),
    ],
)
def test_which_file_a_process_was_started_with(tmp_path: Path, arguments: str, follows: bool) -> None:
    """Read as the kernel tells it of a process: /proc/PID/cmdline, and cwd for names that begin there."""
    process, plant = tmp_path / "1", tmp_path / "plant"
    process.mkdir()
    plant.mkdir()
    (process / "cmdline").write_bytes("".join(f"{a}\0" for a in arguments.split()).encode())
    (process / "cwd").symlink_to(plant)
    assert _runs(process, plant / "gateway.yaml") is follows
