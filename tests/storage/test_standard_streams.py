"""What is opened is never a standard stream, and programs that are started do not notice."""

import json
import subprocess
import sys

import pytest

CODE = """
import json, os
from gym_h5record.storage.lock import occupy_standard_streams
said = os.dup(1)
for stream in {closed}:
    os.close(stream)
occupy_standard_streams()
opened = os.open(os.devnull, os.O_RDONLY)
inherited = [stream for stream in range(3) if os.get_inheritable(stream)]
os.write(said, json.dumps([opened, inherited]).encode())
"""


@pytest.mark.parametrize("closed", [[], [0], [1], [1, 2], [0, 1, 2]], ids=str)
def test_closed_streams_are_occupied_here_and_closed_in_programs_that_are_started(closed):
    command = [sys.executable, "-c", CODE.format(closed=closed)]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    opened, inherited = json.loads(said)
    assert opened > 2
    assert inherited == [stream for stream in range(3) if stream not in closed]
