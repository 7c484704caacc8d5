"""A plan becomes a gateway's series once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tanflow.opening import open_planned
from tanflow.planned import Planned
from tests.tanflow.test_revision import config, counter


async def test_a_plan_is_one_gateways_and_a_second_is_not_opened_without_series(tmp_path: Path) -> None:
    gateway = config({"e1": counter()}, data={"dir": tmp_path, "ballast_mb": 1})
    planned = Planned.of(gateway, {})
    async with open_planned(planned) as opened:
        assert "a.e1.energy_index" in opened.table.ids
    with pytest.raises(RuntimeError, match="has become a gateway's already"):
        async with open_planned(planned):
            pass
    async with open_planned(Planned.of(gateway, {})) as opened:
        assert opened.table.revision == 1  # the log has not taken anything over from what failed
