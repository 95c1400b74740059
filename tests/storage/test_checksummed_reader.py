"""Items of recordings with checksums: none is read that is not as it was written."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.lanes import address
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.checksummed_reader import ChecksummedReader
from gym_h5record.storage.handle import Handle
from tests.lane_recordings import record_lanes
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


# Lanes -------------------------------------------------------------------------------------------

ENDS, VALUES = "observations/1/ends", "observations/1/values"


def lanes(path: Path) -> Path:
    """A vector recording with checksums; 128 numbers of each of its four lanes are a block."""
    return record_lanes(path, "tuple", checksum=True, compression=None)


def lane_reader(handle: Handle) -> ChecksummedReader:
    reader = ChecksummedReader(handle)
    reader.expect(all_fields(schema_from_json(str(handle.metadata()["schema"]))))
    return reader


def test_a_block_of_a_lane_that_is_not_as_its_checksum_says_is_not_read(tmp_path: Path) -> None:
    path = edited(lanes(tmp_path / "run.h5"), set_item(fmt.REWARDS, (3, 2), 7.0))
    with closing(Handle(path)) as handle:
        reader = lane_reader(handle)
        for lane in (0, 1, 3):
            assert reader.items(fmt.REWARDS, address(lane, 0), address(lane, 20)).max() < 4
        start = address(2, 5)
        for read in (
            lambda: reader.items(fmt.REWARDS, start, start + 2),
            lambda: reader.item(fmt.REWARDS, start),
            lambda: reader.check(fmt.REWARDS, start, start + 1),
            lambda: reader.take(fmt.REWARDS, np.array([3, start])),
        ):
            with pytest.raises(CorruptRecordingError, match="/rewards items 0 to 128 of lane 2 do not match"):
                read()


def test_ends_of_lanes_are_compared_as_they_are_stored(tmp_path: Path) -> None:
    path = lanes(tmp_path / "run.h5")
    with closing(Handle(path)) as handle:
        reader = lane_reader(handle)
        for lane in range(4):
            start = address(lane, 0)
            assert reader.items(ENDS, start - 1, start + 1).tolist() == [start, start + 5]  # such as "0x0x0"
            assert reader.take(ENDS, np.array([start - 1, start])).tolist() == [start, start + 5]
            assert reader.items(VALUES, start, start + 5).tobytes() == f"{lane}x0x0".encode()
    edited(path, set_item(ENDS, (0, 1), 4))
    with closing(Handle(path)) as handle:
        reader = lane_reader(handle)
        assert reader.items(ENDS, address(1, 0) - 1, address(1, 0)).tolist() == [address(1, 0)]  # of no block
        assert reader.take(ENDS, np.array([address(1, 0) - 1])).tolist() == [address(1, 0)]
        with pytest.raises(CorruptRecordingError, match="of lane 1 do not match"):
            reader.items(ENDS, address(1, 0) - 1, address(1, 1))


def test_items_that_no_lane_has_are_missing_and_take_no_time(tmp_path: Path) -> None:
    with closing(Handle(lanes(tmp_path / "run.h5"))) as handle:
        reader = lane_reader(handle)
        for start, stop in ((0, address(0, 1 << 39)), (address(4, 0), address(4, 1)), (0, address(3, 1))):
            with pytest.raises(CorruptRecordingError):
                reader.items(fmt.REWARDS, start, stop)
