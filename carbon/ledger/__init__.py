"""The ledger: entries of the account in a chain of blocks that is only ever appended to (docs/ledger.md)."""

from carbon.ledger.audit import Verdict, verify
from carbon.ledger.book import Block, Ledger, Version
from carbon.ledger.codec import DamagedLedger, Reason
from carbon.ledger.effective import Sums
from carbon.ledger.file import Head
from carbon.ledger.writing import Writing

__all__ = ["Block", "DamagedLedger", "Head", "Ledger", "Reason", "Sums", "Verdict", "Version", "Writing", "verify"]
