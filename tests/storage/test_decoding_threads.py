"""Parts are done by several threads, all of them, and errors come out."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from gym_h5record.storage import decoding_threads
from gym_h5record.storage.decoding_threads import num_threads, run_in_parts


@pytest.fixture(autouse=True)
def _three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding_threads, "num_threads", lambda: 3)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 10, 100])
def test_every_part_is_done_once(count: int) -> None:
    done: list[int] = []
    run_in_parts(lambda parts: done.extend(parts), range(count))
    assert sorted(done) == [*range(count)]


def test_the_error_of_any_thread_comes_out_after_all_have_ended() -> None:
    done: list[int] = []

    def work(parts: Sequence[int]) -> None:
        for part in parts:
            if part == 7:
                raise ValueError("seven")
            done.append(part)

    with pytest.raises(ValueError, match="seven"):
        run_in_parts(work, range(9))
    assert sorted(done) == [0, 1, 2, 3, 4, 5, 6]


def test_a_thread_that_cannot_begin_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ending:
        def submit(self, *_: object) -> None:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(decoding_threads._Pool, "executor", Ending())
    done: list[int] = []
    run_in_parts(lambda parts: done.extend(parts), range(10))
    assert done == [*range(10)]


def test_the_caller_does_a_part_itself() -> None:
    names: set[str] = set()
    run_in_parts(lambda parts: names.add(threading.current_thread().name), range(9))
    assert threading.current_thread().name in names


def test_there_is_at_least_one_thread() -> None:
    assert num_threads() >= 1
