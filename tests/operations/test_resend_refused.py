"""`tanflow resend` to a database that takes nothing: it says so at once, and ends where waiting is of no use."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.operations.test_doctor import Still, still
from tests.security.echo import echo
from tests.tanflow.command import Said, said

__all__ = ["still"]
Told = Callable[..., Said]


@pytest.fixture
def told(still: Still, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Send everything, or what options say, to a service that answers a status."""
    monkeypatch.setenv("RESENDING_TOKEN", "a token nobody knows")

    def send(status: int, *options: str) -> Said:
        with echo() as port:
            still.write(
                f'sinks:\n  db: {{type: influxdb, api: v2, url: "http://127.0.0.1:{port}/{status}", org: o, bucket: b, '
                "token: {env: RESENDING_TOKEN}, backoff_max_s: 0.1}\n"
            )
            return said(monkeypatch, capsys, "resend", "-c", still.config, *(options or ("--from", "2020-01-01")))

    return send


def test_a_wrong_token_ends_it_at_once(told: Told) -> None:
    """However patient it is with a database that is away."""
    answer = told(401)
    assert answer.code == 1
    assert "answers 401" in answer.err
    assert "check token:" in answer.err
    assert "0 rows were written" in answer.err


def test_a_database_in_trouble_is_told_once_and_waited_for(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tanflow.resending._PATIENCE_S", 1.0)
    began = time.monotonic()
    answer = told(500)
    assert time.monotonic() - began > 1
    assert answer.code == 1
    assert answer.err.count("waiting: ") == 1


def test_refusals_are_told_when_they_come_and_counted(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal a line now and then tells how far it is."""
    monkeypatch.setattr("tanflow.commands.resend._PACE_S", 0.0)
    answer = told(400)
    assert answer.code == 1
    assert "refused: " in answer.err
    assert len(re.findall(r"^refused: ", answer.err, re.M)) <= 10
    so_far = [int(n.replace(",", "")) for n in re.findall(r"^([\d,]+) rows so far", answer.err, re.M)]
    assert so_far
    assert so_far[0] <= 20
    assert re.search(r"db: 0 rows written, [1-9][\d,]* refused", answer.out)
