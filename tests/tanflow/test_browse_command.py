"""`tanflow browse` with what cannot work: a sentence, exit code 2, and nothing is asked of anything."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from tanflow.cli import app


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://x", "url: must look like opc.tcp://host:4840"),
        ("opc.tcp://:4840", "url: names no host"),
        ("opc.tcp://:99999", "ports go from 1 to 65535"),
        ("opc.tcp://plc:port", "url: must look like opc.tcp://host:4840"),
        ("opc.tcp://[::1", "url: must look like opc.tcp://host:4840"),
        ("opc.tcp://plc", "the usual one is 4840, so opc.tcp://plc:4840"),
    ],
)
def test_an_impossible_url_is_told_in_words(url: str, said: str) -> None:
    done = CliRunner().invoke(app, ["browse", url], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert "Traceback" not in done.output
