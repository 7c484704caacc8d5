"""The gateway's own certificate where it cannot be kept: a sentence, nothing left behind, nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from collectors import opcua_certificates as certificates
from config.errors import GatewayError

# No file may grow beyond 64 bytes, as on a disk with a few bytes left: folders and names fit, a key does not.
FULL = """
import resource, sys
from pathlib import Path
from collectors import opcua_certificates as certificates
from config.errors import GatewayError
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
for _ in range(3):
    try:
        {call}(Path(sys.argv[1]))
    except GatewayError as error:
        print(error)
"""


def on_a_full_disk(call: str, certs: Path) -> list[str]:
    words = [sys.executable, "-B", "-c", FULL.format(call=call), str(certs)]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=600).stdout.splitlines()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    told = on_a_full_disk("certificates.own", tmp_path)
    assert len(told) == 3
    assert all("cannot be kept there" in line for line in told)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_does_not_take_the_pair_there_is(tmp_path: Path) -> None:
    before = certificates.own(tmp_path)
    assert len(on_a_full_disk("certificates.renew", tmp_path)) == 3
    assert certificates.own(tmp_path).certificate == before.certificate
    assert [p.name for p in tmp_path.iterdir()] == [certificates.OWN]


def test_renewed_the_old_pair_is_kept(tmp_path: Path) -> None:
    before = certificates.own(tmp_path)
    assert certificates.renew(tmp_path).certificate != before.certificate
    (kept,) = tmp_path.glob(f"{certificates.OWN}-until-*")
    assert certificates.load(kept / certificates.CERTIFICATE, kept / certificates.KEY).certificate == before.certificate


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GatewayError, match="cannot be kept there"):
        certificates.own(tmp_path / "file")
