"""Every broken configuration gives exactly its messages: all, in the order of the file, no secret among them."""

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import load

CASES = Path(__file__).parents[1] / "data" / "broken"


@pytest.mark.parametrize("case", sorted(p.name for p in CASES.iterdir()))
def test_says_what_is_wrong(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES / case)
    monkeypatch.delenv("BROKEN_CASE_UNSET", raising=False)
    with pytest.raises(ConfigError) as caught:
        load("gateway.yaml")
    told = str(caught.value).replace(f"{CASES / case}/", "")
    assert told == Path("expected.txt").read_text("utf-8").rstrip("\n")
    assert "TOP-SECRET" not in f"{told}{caught.value!r}"
    lines = [problem.line for problem in caught.value.problems]
    assert lines == sorted(lines)


def test_there_are_enough_of_them() -> None:
    assert len(list(CASES.glob("*/expected.txt"))) >= 30
