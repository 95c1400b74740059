"""``BatchRows``: what a tick records."""

from __future__ import annotations

import numpy as np

from gym_h5record.writing.batch_rows import BatchRows


def test_a_tick_has_its_batches_as_they_were_given_and_pictures_only_if_there_are_any() -> None:
    observations, infos, frames = np.zeros((2, 3)), {"lives": np.ones(2)}, [None, None]
    rows = BatchRows(observations, infos)
    assert rows.observations is observations
    assert rows.infos is infos
    assert rows.frames is None
    assert BatchRows(observations, infos, frames).frames is frames
