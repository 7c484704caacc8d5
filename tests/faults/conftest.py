"""What the tests of faults share."""

from tests.faults.preload import library, preload

__all__ = ["library", "preload"]
