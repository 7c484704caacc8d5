"""A secret is read where it is kept, and never told."""

import os
from pathlib import Path

import pytest

from config import secrets
from config.errors import GatewayError
from config.strict import Secret


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "värde ")
    assert secrets.read(Secret(env="A_TOKEN")) == "värde "


@pytest.mark.parametrize(("raw", "value"), [(b"abc\n", "abc"), (b"abc\r\n", "abc"), (b" a b", " a b")])
def test_from_a_file_without_its_line_end(raw: bytes, value: str, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(raw)
    assert secrets.read(Secret(file=tmp_path / "s")) == value


@pytest.mark.parametrize(
    ("raw", "why"),
    [(b"", "empty"), (b"\n", "empty"), (b"TOP\nSECRET", "one line"), (b"\xff", "UTF-8"), (b"TOP" * 40_000, "larger")],
)
def test_an_unusable_file_is_told_by_name_only(raw: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(raw)
    with pytest.raises(GatewayError, match=why) as caught:
        secrets.read(Secret(file=tmp_path / "s"))
    assert str(tmp_path / "s") in str(caught.value)
    assert "TOP" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("A_TOKEN", raising=False)
    with pytest.raises(GatewayError, match="A_TOKEN is not set"):
        secrets.read(Secret(env="A_TOKEN"))
    with pytest.raises(GatewayError, match="cannot be read"):
        secrets.read(Secret(file=tmp_path))


def test_nobody_waits_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p")
    with pytest.raises(GatewayError, match="a secret is kept in a file"):
        secrets.read(Secret(file=tmp_path / "p"))
