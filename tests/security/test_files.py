"""What a gateway leaves on the disk is its user's own, whatever the umask and whoever made the directory."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline.log.directory import DataDirectory
from tests.security.running import PLANT, TANFLOW, started
from tests.waiting import until_sync

NEEDED = {"log.db", "log.db-wal", "log.db-shm", "ledger.db", "owner", "format", "ballast", "users.json"}


def modes(folder: Path) -> dict[str, int]:
    """Return the mode of a folder and of all below it, by name; what goes away meanwhile is left out."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        try:
            found[str(path.relative_to(folder))] = path.lstat().st_mode & 0o777
        except FileNotFoundError:
            continue
    return found


def test_everything_in_the_data_directory_is_closed_to_others(tmp_path: Path) -> None:
    data, said = tmp_path / "data", tmp_path / "said"
    config = tmp_path / "gateway.yaml"
    config.write_text(PLANT.replace("DATA", str(data)).replace("PORT", "0"))
    seen: dict[str, int] = {}
    with started([*TANFLOW, "run", "-c", config], said, umask=0):
        until_sync(lambda: (data / "format").exists(), 300, "the data directory")
        add = [*TANFLOW, "users", "add", "Ann", "--role", "viewer", "--data", str(data), "--password-stdin"]
        subprocess.run(add, input=b"correct horse battery\n", check=True, capture_output=True, umask=0)
        until_sync(lambda: (data / "log.db-wal").exists(), 300, "the log")
        seen |= modes(data)
    seen |= modes(data)  # at its end it has written history
    assert seen.keys() >= NEEDED, said.read_text()
    wide = {name: oct(mode) for name, mode in seen.items() if mode & 0o077}
    assert not wide
    assert any(name.startswith("history/raw/") for name in seen)


def test_a_directory_that_was_open_is_closed(tmp_path: Path) -> None:
    """As systemd's StateDirectory= makes it, or a mkdir."""
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    with DataDirectory(data, 1):
        assert data.stat().st_mode & 0o777 == 0o700


def test_a_private_key_is_closed_wherever_it_is_written(tmp_path: Path) -> None:
    for command in (
        ["certs", "server", "gateway.plant", "--out", tmp_path / "tls"],
        ["certs", "export", tmp_path / "own.der", "--data", tmp_path / "data"],
    ):
        subprocess.run([*TANFLOW, *map(str, command)], check=True, capture_output=True, umask=0)
    keys = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(keys) == 2
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
