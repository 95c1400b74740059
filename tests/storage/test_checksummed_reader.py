"""Items of recordings with checksums: none is read that is not as it was written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.storage.checksummed_reader import ChecksummedReader
from gym_h5record.storage.handle import Handle
from tests.leftovers import closed, edited, set_item, shorter
from tests.reading import record
from tests.zoo import ZooEnv


def checked(folder: Path) -> Path:
    """A recording with checksums, of two blocks of rewards."""
    env = ZooEnv(spaces.Discrete(5), rewards=[1.0], length=400, infos=lambda step: {})
    record(folder / "run.h5", env, [400, 400], checksum=True, compression=None)  # so it is not compacted
    return folder / "run.h5"


def test_items_of_a_block_that_is_not_as_its_checksum_says_are_not_read(tmp_path: Path) -> None:
    path = edited(checked(tmp_path), set_item(fmt.REWARDS, 600, 7.0))
    with closing(Handle(path)) as handle:
        reader = ChecksummedReader(handle)
        assert reader.items(fmt.REWARDS, 0, 512).sum() == 511
        assert reader.item(fmt.REWARDS, 3) == 1.0
        assert reader.items(fmt.REWARDS, 600, 600).size == 0
        for read in (lambda: reader.items(fmt.REWARDS, 500, 520), lambda: reader.item(fmt.REWARDS, 700)):
            for _ in range(2):
                with pytest.raises(CorruptRecordingError, match="512 to 1024 do not match their checksum"):
                    read()
        assert len(reader.items(fmt.DONES, 0, 802)) == 802
        assert reader.items(fmt.COMMIT, 0, 2).tolist() == [802, 2]


@pytest.mark.parametrize("value", [(513, 0), (2, 5)])
def test_a_checksum_that_makes_no_sense_is_a_contradiction(value: tuple[int, int], tmp_path: Path) -> None:
    path = edited(checked(tmp_path), set_item(f"{fmt.CHECKSUMS}/{fmt.REWARDS}", 0, value))
    with closing(Handle(path)) as handle, pytest.raises(CorruptRecordingError):
        ChecksummedReader(handle).item(fmt.REWARDS, 3)


def test_a_checksum_that_is_not_there_is_none(tmp_path: Path) -> None:
    path = edited(checked(tmp_path), shorter(f"{fmt.CHECKSUMS}/{fmt.REWARDS}", 1))
    with closing(Handle(path)) as handle:
        assert ChecksummedReader(handle).item(fmt.REWARDS, 600) == 1.0


def test_a_recording_without_checksums_is_read_as_ever(tmp_path: Path) -> None:
    with closing(Handle(closed(tmp_path))) as handle:
        assert ChecksummedReader(handle).items(fmt.REWARDS, 0, 3).tolist() == [0.0, 1.0, 2.0]
