"""What the tests of faults share."""

from tests.faults.preload import library, preload
from tests.faults.wall import wall, wall_library

__all__ = ["library", "preload", "wall", "wall_library"]
