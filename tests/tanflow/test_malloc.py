"""What a batch's arrays take is used again by the next one: the system is not asked for the same pages each time."""

from __future__ import annotations

import subprocess
import sys

PAGES = 100  # of half a megabyte at least
ASKED = """
import resource
from tanflow.memory import tame_malloc
tame_malloc()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(500_000)
before = faults()
for _ in range(200):
    bytearray(500_000)
print(faults() - before)
"""


def test_arrays_of_a_batch_come_from_memory_that_is_there() -> None:
    said = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, timeout=120, check=True)
    assert int(said.stdout) < 10 * PAGES
