"""Whatever is changed in a ledger is seen, or changes no answer it gives."""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from carbon.ledger import Head, Ledger, Reason, verify
from carbon.ledger.codec import Body, encode
from carbon.ledger.file import GENESIS, link
from config.errors import GatewayError
from tests.carbon.ledger_parts import HOUR, everything, factor, hourly, line, meter


def small(folder: Path) -> Head:
    """Write a ledger of some blocks of every kind and return its head."""
    evidence = b"delivery note 17"
    name = hashlib.sha256(evidence).hexdigest()
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / name).write_bytes(evidence)
    with Ledger.open(folder, write=True, now_ns=lambda: 1_700_000_000_000_000_000) as ledger:
        for hour in range(3):
            with ledger.writing() as w:
                amounts = [1_234_567 + hour * 7919, 98_765_432 - hour * 104_729]
                entries = hourly(w, [line("a"), line("b")], [hour * HOUR] * 2, amounts, measured_by=meter())
                w.entries(entries, Reason("live"))
                w.cursor(hour + 1, b"open cells")
        with ledger.writing() as w:
            w.document({"what": "delivery", "sha256": name})
            w.entries(hourly(w, [line("a")], [HOUR], [1_111_111], factor(0.6, 2024)), Reason("late"))
        return ledger.head()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small(tmp_path)
    return tmp_path


@pytest.fixture
def head(folder: Path) -> Head:
    with Ledger.open(folder) as ledger:
        return ledger.head()


def edit(folder: Path, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
    """Change the file as somebody with another program would."""
    database = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    for statement in statements:
        database.execute(*(statement if isinstance(statement, tuple) else (statement,)))
    database.close()


def rebuild(folder: Path, change: Callable[[int, str, bytes], bytes] = lambda seq, kind, body: body) -> None:
    """Chain all blocks anew, with changed bodies: what somebody does who knows the format."""
    database = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    before = GENESIS
    for seq, kind, at_ns, body in database.execute("SELECT seq, kind, at_ns, body FROM chain ORDER BY seq").fetchall():
        changed = change(seq, kind, body)
        before = link(before, seq, kind, at_ns, changed)
        database.execute("UPDATE chain SET head = ?, body = ? WHERE seq = ?", (before, changed, seq))
    database.close()


def test_a_sound_ledger_is_sound(folder: Path, head: Head) -> None:
    verdict = verify(folder, head)
    assert verdict.problems == []
    assert (verdict.head, verdict.blocks, verdict.entries, verdict.documents, verdict.files) == (head, 7, 7, 1, 1)
    for kept in (Head(3, ""), Head(0, head.hash[:16]), Head(head.seq, head.hash[:16]), Head(0, "")):
        assert verify(folder, kept).ok


def test_a_flipped_byte_is_seen_or_changes_no_answer(folder: Path) -> None:
    """A seventh of the bytes that are not zero, and some that are: most of these are unused space."""
    path = folder / "ledger.db"
    sound, answers = path.read_bytes(), everything(folder)
    dice = random.Random(5)
    unseen = 0
    for at, byte in enumerate(sound):
        if at % (97 if byte == 0 else 7):
            continue
        path.write_bytes(sound[:at] + bytes([byte ^ dice.randrange(1, 256)]) + sound[at + 1 :])
        if verify(folder).ok:
            unseen += byte != 0
            assert everything(folder) == answers, f"byte {at} was changed unseen"
    assert unseen < 16  # counters in the file's header, and nothing else


@pytest.mark.parametrize("length", [0, 1, 100, 4096, 8192, 12_288])
def test_a_truncated_file_is_seen(folder: Path, head: Head, length: int) -> None:
    path = folder / "ledger.db"
    path.write_bytes(path.read_bytes()[:length])
    assert not verify(folder, head).ok


def test_a_tail_cut_cleanly_is_seen_by_the_head_kept_elsewhere(folder: Path, head: Head) -> None:
    for table in ("chain", "blocks"):
        edit(folder, f"DELETE FROM {table} WHERE seq > 5")
    edit(folder, "DELETE FROM cursor")
    assert verify(folder).ok  # nobody can know
    assert "the ledger ends at block 4" not in verify(folder, head).problems
    (problem,) = verify(folder, head).problems
    assert problem == f"the ledger ends at block 5, the head you hold is of block {head.seq}: its tail was cut"
    assert "the chain was rebuilt or its tail was cut" in verify(folder, Head(0, head.hash[:16])).problems[0]


def test_a_tail_cut_behind_the_cursor_is_seen_without_a_head(folder: Path) -> None:
    for table in ("chain", "blocks"):
        edit(folder, f"DELETE FROM {table} WHERE seq > 2")
    assert verify(folder).problems == ["the cursor is of block 4, the chain ends at 2: its tail was cut"]


def test_a_rebuilt_chain_with_invented_kilograms_contradicts_itself(folder: Path, head: Head) -> None:
    def halve(seq: int, kind: str, body: bytes) -> bytes:
        if seq != 3:
            return body
        entries = Body(body).entries()
        return encode(replace(entries, co2=entries.co2 // 2), Reason("live"))

    rebuild(folder, halve)
    (problem,) = verify(folder).problems
    assert problem.startswith(
        "block 3 (2023-11-14T22:13:20Z): co2 of a.electricity/2/purchased_electricity/location does"
    )
    assert any("the chain was rebuilt" in problem for problem in verify(folder, head).problems)


def test_a_rebuilt_chain_with_invented_amounts_is_seen_by_the_head(folder: Path, head: Head) -> None:
    def invent(seq: int, kind: str, body: bytes) -> bytes:
        if kind != "entries":
            return body
        entries = Body(body).entries()
        nothing = entries.amount * 0
        return encode(replace(entries, amount=nothing, energy=nothing, co2=nothing), Body(body).reason)

    rebuild(folder, invent)
    assert verify(folder).ok  # it is a ledger, only not ours
    assert verify(folder, head).problems == [
        "block 7 has another hash than the head you hold: the chain was rebuilt or its tail was cut"
    ]


def test_swapped_blocks_are_seen(folder: Path) -> None:
    for table in ("chain", "blocks"):
        edit(folder, *(f"UPDATE {table} SET seq = {a} WHERE seq = {b}" for a, b in ((99, 2), (2, 3), (3, 99))))
    problems = verify(folder).problems
    assert [p.split(" (")[0] for p in problems] == ["block 2", "block 3", "block 4"]
    rebuild(folder)  # chained anew in their new order, only a head can tell
    assert verify(folder).ok


def test_a_block_taken_out_is_seen(folder: Path) -> None:
    edit(folder, "DELETE FROM chain WHERE seq = 3")
    problems = verify(folder).problems
    assert problems[0] == "block 4 follows block 2: what stood between them is missing"
    assert problems[1].startswith("block 4 (2023-11-14T22:13:20Z): not what was chained")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE blocks SET first_ns = first_ns + 1 WHERE seq = 3",
        "UPDATE blocks SET last_ns = last_ns - 1 WHERE seq = 4",
        "UPDATE blocks SET rows = 7 WHERE seq = 2",
        "UPDATE blocks SET kind = 'document' WHERE seq = 1",
        "DELETE FROM blocks WHERE seq = 4",
        "INSERT INTO blocks VALUES (8, 'entries', 1, 0, 0)",
        "UPDATE cursor SET position = 2",
        "UPDATE cursor SET state = x'00'",
        "UPDATE cursor SET seq = 3",
        "UPDATE chain SET at_ns = 0 WHERE seq = 4",
        "UPDATE chain SET at_ns = 9223372036854775807 WHERE seq = 4",
        "UPDATE chain SET at_ns = 'today' WHERE seq = 4",
        "UPDATE cursor SET position = 'first'",
        "INSERT INTO chain SELECT 9223372036854775807, kind, at_ns, head, body FROM chain WHERE seq = 2",
        "UPDATE chain SET kind = 'document' WHERE seq = 4",
        "UPDATE chain SET kind = 'other' WHERE seq = 4",
        "UPDATE chain SET body = CAST(body AS TEXT) WHERE seq = 1",
        "UPDATE chain SET head = zeroblob(32) WHERE seq = 7",
        "CREATE TABLE more (x)",
        "CREATE TRIGGER t AFTER INSERT ON chain BEGIN DELETE FROM chain; END",
        "CREATE INDEX i ON chain (kind)",
    ],
)
def test_every_edit_is_seen(folder: Path, statement: str) -> None:
    edit(folder, statement)
    assert not verify(folder).ok


def rechained(folder: Path, seq: int, body: bytes) -> list[str]:
    rebuild(folder, lambda n, kind, old: body if n == seq else old)
    return verify(folder).problems


def test_definitions_that_contradict_themselves_are_seen(folder: Path) -> None:
    with Ledger.open(folder) as ledger:
        defined = next(ledger.blocks()).data()
    defined["factors"][0]["is"]["kg"][0] = 0.1
    problems = rechained(folder, 1, orjson.dumps(defined))
    assert "definition 0 is not of its stated version" in problems[0]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff\xff\xff\xff", b'{"others": []}', b'{"lines": [{}]}', b"\x02\0\0\0{}"]
)
@pytest.mark.parametrize("seq", [1, 2, 5])
def test_blocks_of_rubbish_are_told_not_raised(folder: Path, seq: int, body: bytes) -> None:
    problems = rechained(folder, seq, body)
    assert problems or (seq == 5 and body.startswith(b"{"))  # any object is a document


def test_documents_are_held_to_their_hash(folder: Path) -> None:
    (document,) = (folder / "documents").iterdir()
    document.write_bytes(b"delivery note 18")
    assert verify(folder).problems == [f"documents/{document.name} was changed: its bytes no longer have this hash"]
    document.unlink()
    (problem,) = verify(folder).problems
    assert problem == f"block 5: the file of this document, documents/{document.name}, is missing"


def test_progress_is_told(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    verify(folder, progress=lambda done, of: told.append((done, of)))
    assert told == [(i, 7) for i in range(1, 8)]


def test_a_missing_ledger_is_no_sound_one(tmp_path: Path) -> None:
    assert "holds no ledger yet" in verify(tmp_path).problems[0]


def test_a_writer_refuses_to_build_on_a_damaged_end(folder: Path) -> None:
    edit(folder, "UPDATE chain SET body = x'00' WHERE seq = 7")
    with pytest.raises(GatewayError, match="ledger verify"), Ledger.open(folder, write=True):
        pass


def test_the_format_is_as_documented(folder: Path) -> None:
    """The hash chain recomputed with nothing of ours, as docs/ledger.md says an auditor may."""
    database = sqlite3.connect(folder / "ledger.db")
    before = hashlib.sha256(b"tanflow ledger 1").digest()
    for seq, kind, at_ns, head, body in database.execute("SELECT * FROM chain ORDER BY seq"):
        said = seq.to_bytes(8, "little") + kind.encode().ljust(8, b"\0") + at_ns.to_bytes(8, "little", signed=True)
        before = hashlib.sha256(before + said + body).digest()
        assert before == head
    database.close()
