"""A forked child abandons what its parent records."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os
from gym_h5record.recorder.forks import abandon_in_children

class Recorder:
    def __init__(self, name):
        self.name = name
        abandon_in_children(self)
    def abandon(self):
        os.write(1, f"{os.getpid() == parent} {self.name}\\n".encode())

parent = os.getpid()
kept, gone = Recorder("kept"), Recorder("gone")
del gone
if not os.fork():
    os._exit(0)
os.wait()
"""


def test_a_child_abandons_the_recorders_that_still_exist_and_the_parent_none() -> None:
    found = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout.splitlines() == ["False kept"]
