"""Ending: a program ends whatever its threads are reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.writer import Pen, run_script, write_pairs


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ending") / "run.h5"
    pen = Pen(path)
    write_pairs(pen, [50, 50])
    pen.close()
    return path


READ = "recording.rewards[:]"
LOOK = "recording.refresh(); recording.observations[:]"
OPEN = "h5r.Recording(sys.argv[1]).rewards[:]"


@pytest.mark.parametrize(
    ("works", "live"),
    [([READ], False), ([OPEN, OPEN], False), ([LOOK, LOOK], True), ([READ, LOOK, OPEN], True)],
    ids=["reading", "opening", "refreshing", "all-of-it"],
)
def test_threads_that_go_on_while_the_program_ends_neither_hang_nor_crash_it(
    works: list[str], live: bool, path: Path
) -> None:
    """Python stops them at any of their instructions, of which there are many here."""
    loops = [
        f"def work{number}():\n    try:\n        while True:\n            {work}\n    except Exception:\n        pass\n"
        f"threading.Thread(target=work{number}, daemon=True).start()\n"
        for number, work in enumerate(works)
    ]
    head = (
        "import sys, threading, time\n"
        "import gym_h5record as h5r\n"
        f"recording = h5r.Recording(sys.argv[1], live={live})\n"
        "sys.setswitchinterval(1e-6)\n"
    )
    done = run_script("".join([head, *loops, "time.sleep(0.02)\nprint('over')\n"]), path)
    assert (done.stdout, done.stderr) == ("over\n", "")


def test_a_program_may_use_hdf5_in_threads_until_it_ends(path: Path) -> None:
    """Whoever says ``atexit`` later than the package comes before it."""
    script = """
        import atexit, sys, threading, time
        import gym_h5record as h5r
        import h5py
        threading.Thread(target=time.sleep, args=[60], daemon=True).start()
        def look():
            with h5py.File(sys.argv[1]) as file:
                print(len(file["commit"]))
        def at_the_end():
            worker = threading.Thread(target=look)
            worker.start()
            worker.join()
        recording = h5r.Recording(sys.argv[1])
        atexit.register(at_the_end)
    """
    assert run_script(script, path).stdout == "2\n"
