"""Every kept input passes its target; the figures in docs/security.md are those the fuzz runs wrote."""

from __future__ import annotations

import pytest

from tests.fuzz import targets
from tests.fuzz.table import PAGE, table


@pytest.mark.parametrize("name", targets.NAMES)
def test_kept_inputs_pass(name: str) -> None:
    target = targets.target(name)
    kept = targets.seeds(name)
    assert len(kept) >= 3
    for seed in kept:
        target(seed.read_bytes())


def test_kept_inputs_are_few() -> None:
    assert sum(file.stat().st_size for name in targets.NAMES for file in targets.seeds(name)) <= 100_000


def test_the_document_shows_the_runs() -> None:
    assert table() in PAGE.read_text()
