"""Windows: two integers for each column."""

import numpy as np
import pytest

from gym_h5record.errors import OptionError
from gym_h5record.training import Window


def test_a_window_knows_its_columns_and_lengths():
    window = Window(observations=(-3, 1), actions=[np.int64(0), 8])
    assert [*window.columns()] == ["observations", "actions"]
    assert window.offsets("actions") == (0, 8)
    assert [window.length(name) for name in ("observations", "actions", "rewards", "next_observations")] == [4, 8, 1, 1]


@pytest.mark.parametrize(
    "offsets",
    [(1, 1), (2, 0), (0,), (0, 1, 2), (0.0, 1), (False, True), "01", 3, (0, 1 << 40)],
    ids=["empty", "backwards", "one", "three", "float", "booleans", "text", "number", "far"],
)
def test_other_offsets_are_an_error_that_names_the_column(offsets):
    with pytest.raises(OptionError, match="Window: .*actions"):
        Window(actions=offsets)
