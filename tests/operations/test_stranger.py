"""Every command that looks into a data directory, called by a user who may not: one sentence, which says who may."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline.log.directory import DataDirectory
from tanflow.backup.taking import take
from tanflow.system_errors import _also, user
from tests.operations.test_doctor import Still, still

__all__ = ["still"]

_DROP = 24  # PR_CAPBSET_DROP of prctl(2)
_CALLS = """
import sys
from tanflow.cli import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["tanflow", *line.split()]
    print(f"## {line}", flush=True)
    try:
        main()
    except SystemExit as ended:
        print(f"exit {ended.code}", flush=True)
"""
_NOBODY = 65_534


def no_power() -> None:
    """Let this process be bound by the rights of files, also where it is root's: no capability outlives its exec."""
    libc = ctypes.CDLL(None)
    for capability in range(64):
        libc.prctl(_DROP, capability, 0, 0, 0)


def called(lines: Sequence[str]) -> dict[str, str]:
    """Call commands one after another, as a user without any power; return what each said."""
    done = subprocess.run(
        [sys.executable, "-c", _CALLS],
        input="\n".join(lines),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        preexec_fn=no_power,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    parts = [part.partition("\n") for part in done.stdout.split("## ")[1:]]
    return {line: words for line, _, words in parts}


@pytest.fixture
def barred(still: Still) -> Iterator[Still]:
    """A data directory nobody of here may look into: of another user, where one can be given it."""
    if os.geteuid() == 0:
        os.chown(still.data, _NOBODY, -1)
    else:
        still.data.chmod(0)
    yield still
    still.data.chmod(0o700)


def test_who_may_not_look_into_a_data_directory_is_told_who_may(barred: Still, tmp_path: Path) -> None:
    config, data = f"-c {barred.config}", f"--data {barred.data}"
    lines = [
        f"check {config}", f"doctor {config}", f"reload {config}", f"backup {tmp_path}/b.tar {config}",
        f"backup {tmp_path}/b {config}", f"report {config} --year 2025", f"gaps list {config}",
        f"alerts list {config}", f"commission list {config}", f"findings {config} --year 2025", f"status {data}",
        f"tail {data}", f"deadletters {data}", f"ledger head {data}", f"ledger verify {data}",
        f"run {config}", f"users list {data}", f"users remove Ann {data}", f"users add Ann --role viewer {data}",
    ]  # fmt: skip
    me, owner = user(os.geteuid()), user(barred.data.stat().st_uid)
    for line, words in called(lines).items():
        assert words.startswith(f"tanflow: {barred.data} "), line + words
        assert words.endswith("\nexit 1\n"), line + words
        assert f"may not be used by user {me}" in words
        if owner != me:
            assert f"sudo -u {owner} tanflow" in words
    assert not [*tmp_path.glob("b*")]


def test_whoever_may_not_read_the_configuration_is_told_who_may(still: Still) -> None:
    config = still.config
    config.chmod(0)
    if os.geteuid() == 0:
        os.chown(config, _NOBODY, -1)
    owner = user(config.stat().st_uid)
    for line, words in called([f"{name} -c {config}" for name in ("run", "check", "doctor", "reload")]).items():
        assert words.startswith(f"tanflow: {config} "), line + words
        assert words.endswith("\nexit 1\n"), line + words
        assert f"may not be used by user {user(os.geteuid())}" in words
        assert f"sudo -u {owner} tanflow" in words or os.geteuid()


def test_a_data_directory_where_this_user_may_make_none_is_told_with_what_says_where(
    still: Still, tmp_path: Path
) -> None:
    """As a service that reads /etc/tanflow/gateway.yaml, with nothing in it that says where its data are."""
    etc = tmp_path / "etc"
    etc.mkdir()
    config = etc / "gateway.yaml"
    shutil.copy(still.config, config)
    etc.chmod(0o555)
    if os.geteuid() == 0:
        os.chown(etc, _NOBODY, -1)
    try:
        words = called([f"run -c {config}"])[f"run -c {config}"]
    finally:
        etc.chmod(0o755)
    assert words.startswith(f"tanflow: {etc} "), words
    assert words.endswith("\nexit 1\n")
    if os.geteuid() == 0:
        assert f"may not make {etc}/data there" in words
        assert "data: {dir: …} in gateway.yaml says where" in words


def test_what_root_shares_with_a_service_is_for_the_service() -> None:
    """/etc/tanflow/gateway.yaml is root's, and may be read by the group of the gateway's user."""
    group = next((g for g in grp.getgrall() if g.gr_gid and g.gr_name in {u.pw_name for u in pwd.getpwall()}), None)
    assert group is not None
    shared = os.stat_result((0o100640, 1, 1, 1, 0, group.gr_gid, 1, 0, 0, 0))
    assert _also(shared) == group.gr_name
    for mode, uid, gid in ((0o600, 0, group.gr_gid), (0o640, _NOBODY, group.gr_gid), (0o640, 0, 0)):
        assert _also(os.stat_result((0o100000 | mode, 1, 1, 1, uid, gid, 1, 0, 0, 0))) == ""


def test_a_running_gateway_is_not_told_to_be_started(barred: Still) -> None:
    with DataDirectory(barred.data, 1):
        words = called([f"reload -c {barred.config}"])[f"reload -c {barred.config}"]
    assert "no gateway runs" not in words
    assert f"{barred.data} " in words


def test_a_backup_to_and_from_a_place_that_may_not_be_looked_into(still: Still, tmp_path: Path) -> None:
    take(still.data, tmp_path / "good.tar")
    closed = tmp_path / "closed"
    closed.mkdir()
    shutil.copy(tmp_path / "good.tar", closed)
    closed.chmod(0)
    try:
        said = called(
            [
                f"backup {closed}/b.tar --data {still.data}",
                f"restore {tmp_path}/good.tar --data {closed}/again",
                f"restore {closed}/good.tar --data {tmp_path}/again",
            ]
        )
    finally:
        closed.chmod(0o700)
    for line, words in said.items():
        assert words.startswith(f"tanflow: {closed} may not be used by"), line + words
        assert words.endswith("\nexit 1\n"), line + words
    assert not (tmp_path / "again").exists()


def test_a_limit_of_the_size_of_files_is_a_sentence(tmp_path: Path) -> None:
    """`ulimit -f`: the ballast is the first file that is too large."""
    config = tmp_path / "gateway.yaml"
    config.write_text("version: 1\nsite: {name: s, region: CN-GD}\nconnections: {}\nareas: {}\napi: null\n")
    done = subprocess.run(
        [sys.executable, "-m", "tanflow", "run", "-c", str(config)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20)),
        check=False,
    )
    assert done.returncode == 1
    assert "`ulimit -f`" in done.stderr
    assert "Traceback" not in done.stderr
