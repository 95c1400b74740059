"""Threads: HDF5 is for one at a time, and a program ends whatever its threads are reading."""

from __future__ import annotations

from pathlib import Path

import pytest

import gym_h5record as h5r
from tests.writing import Pen, run_script, write_pairs


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ending") / "run.h5"
    pen = Pen(path)
    write_pairs(pen, [50, 50])
    pen.close()
    return path


READ = "recording.rows.rewards[:]"
LOOK = "recording.refresh(); recording.rows.observations[:]"
OPEN = "h5r.Recording(sys.argv[1]).rows.rewards[:]"


@pytest.mark.sampled(2)
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
    """Code that registers with ``atexit`` later than the package comes before it."""
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


def test_threads_that_python_knows_little_about_do_not_hang_the_end(path: Path) -> None:
    script = """
        import _thread, sys, time
        import gym_h5record as h5r
        sys.setswitchinterval(1e-6)
        def read_on():
            try:
                while True:
                    h5r.Recording(sys.argv[1]).rows.rewards[:]
            except Exception:
                pass
        for _ in range(2):
            _thread.start_new_thread(read_on, ())
        time.sleep(0.02)
    """
    assert run_script(script, path).returncode == 0


def test_a_handler_from_before_the_package_may_wait_for_a_thread_that_reads(path: Path) -> None:
    script = """
        import atexit, sys, threading
        readers = []
        atexit.register(lambda: [each.join(20) for each in readers] and print(any(each.is_alive() for each in readers)))
        import gym_h5record as h5r
        recording = h5r.Recording(sys.argv[1])
        def read_on():
            try:
                while True:
                    recording.rows.rewards[:]
            except h5r.RecordingError:
                pass
        readers.append(threading.Thread(target=read_on, daemon=True))
        readers[0].start()
    """
    assert run_script(script, path).stdout == "False\n"


@pytest.mark.long
@pytest.mark.parametrize("read", ["", ".rows.observations[0]"], ids=["opened", "read"])
def test_recordings_are_used_in_callbacks_of_h5py_while_another_thread_does_so_too(read: str, path: Path) -> None:
    script = f"""
        import sys, threading
        import gym_h5record as h5r
        import h5py
        over = threading.Event()
        def use(name=""):
            h5r.Recording(sys.argv[1]){read}
        def go_on():
            while not over.is_set():
                use()
        other = threading.Thread(target=go_on, daemon=True)
        other.start()
        with h5py.File(sys.argv[1]) as file:
            for _ in range(10):
                file.visit(use)
        over.set()
        other.join()
        print("over")
    """
    assert run_script(script, path).stdout == "over\n"


@pytest.mark.long
@pytest.mark.parametrize("work", ["repair", "record"])
def test_a_thread_that_writes_while_the_program_ends_does_not_crash_it(work: str, path: Path, tmp_path: Path) -> None:
    """And leaves a recording that is whole, or can be repaired."""
    script = """
        import sys, threading, time
        import gymnasium as gym
        import gym_h5record as h5r
        sys.setswitchinterval(1e-6)
        begun = threading.Event()
        def write_on():
            try:
                while True:
                    with h5r.RecordToHDF5(gym.make("CartPole-v1"), sys.argv[1], mode="a", writer="inline") as env:
                        env.reset(seed=0)
                        env.step(0)
                        env.flush()
                        begun.set()
                    if sys.argv[2] == "repair":
                        h5r.repair(sys.argv[1])
            except Exception:
                pass
        threading.Thread(target=write_on, daemon=True).start()
        begun.wait()
        time.sleep(0.05)
    """
    done = run_script(script, tmp_path / "run.h5", work, check=False)
    assert done.returncode == 0
    h5r.repair(tmp_path / "run.h5")
    with h5r.Recording(tmp_path / "run.h5") as recording:
        assert recording.num_rows >= 2
    assert [each for each in h5r.validate(tmp_path / "run.h5", deep=True) if each.severity is h5r.Severity.ERROR] == []
