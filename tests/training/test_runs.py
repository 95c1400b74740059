"""The rows of episodes, as runs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gym_h5record.training.runs import runs_of
from tests.properties.strategies import PROFILE


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10)), min_size=1), st.integers(0, 5))
@PROFILE
def test_runs_have_every_row_of_the_episodes_once_and_in_order(episodes, before):
    starts, lengths = (np.array(each) for each in zip(*episodes, strict=True))
    runs = runs_of(starts, lengths, before)
    rows = [row for low, high in zip(runs.starts, runs.stops, strict=True) for row in range(low, high)]
    assert rows == sorted({row for s, n in episodes for row in range(max(s - before, 0), s + n + 1)})
    assert len(runs) == len(rows)
    assert runs.positions(np.array(rows)).tolist() == list(range(len(rows)))
    for start in range(0, len(rows), 3):
        stop = min(start + 4, len(rows))
        assert [row for low, high in runs.between(start, stop) for row in range(low, high)] == rows[start:stop]
