"""A closed recording that has in it what this package makes, and nothing else.

Compaction copies only such recordings. To copy unknown objects of an untrusted file, HDF5 would have to read them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import Any

import h5py
import numpy as np

from gym_h5record.cached import cached_property
from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format import names as fmt
from gym_h5record.format.claims import committed_items, most_items, read_commit
from gym_h5record.format.descriptions import describe
from gym_h5record.format.lanes import address, row_of
from gym_h5record.format.masks import check_mask, check_mask_size, mask_field, mask_names
from gym_h5record.format.nodes import Field
from gym_h5record.format.schema import all_fields
from gym_h5record.format.schema_json import schema_from_json
from gym_h5record.storage.checksums import checksum_field
from gym_h5record.storage.column_layout import Layout, packed_layout, recording_layout
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.description_attributes import read_description
from gym_h5record.storage.handle import Handle
from gym_h5record.storage.hdf5.chunk_index import stored_bytes
from gym_h5record.storage.hdf5.codecs import make_codec
from gym_h5record.storage.hdf5.objects import has_group, is_same_object, open_dataset
from gym_h5record.values.tagged_json import parse_json

__all__ = ["ClosedRecording"]


class ClosedRecording:
    """A closed recording that has in it what this package makes, and nothing else.

    Args:
        handle: The recording.

    Attributes:
        path: The file.
        size_bytes: Its size.
        root: The attributes of the root.
        metadata: The attributes of ``/metadata``.
        schema: The columns.
        codec: Compression of the large columns.
        commit: The last commit.
        packed: The fields that compaction packs, each with the number of its committed items: of a field with lanes,
            that of the lane with the most.
        copied: The other fields, likewise. What lies behind, such as rows of a discarded episode, is left behind.
        lane_counts: The number of committed items of each lane, ``(lanes,)`` int64, of every field with lanes.
        has_checksums: Whether there are checksums of the chunks.
        datasets: All datasets by name, also those of checksums and masks, ``/commit`` and ``/positions``.
        descriptions: What each of them says about itself, by name.
        reader: Reads the items of the datasets.
        masks: The numbers of each mask by its name.

    Raises:
        CorruptRecordingError: If there is something else in it, or it is damaged.
    """

    def __init__(self, handle: Handle) -> None:
        self.path, self.size_bytes, self._file = handle.path, handle.size_bytes, handle.file
        lanes = () if handle.num_envs is None else (fmt.NUM_ENVS,)
        self.root: dict[str, Any] = {name: handle.attribute(name) for name in (*fmt.ROOT_ATTRIBUTES, *lanes)}
        self.metadata = handle.metadata()
        self.schema = schema_from_json(str(self.metadata.get("schema")))
        self.codec = make_codec(*parse_json(str(self.metadata.get("compression"))))
        self.has_checksums = has_group(handle.file, fmt.CHECKSUMS)
        fields = {field.name: field for field in all_fields(self.schema)}
        checks = [checksum_field(field) for field in fields.values()] if self.has_checksums else []
        masks = {name: mask_field(name) for name in mask_names(self.metadata)}
        names = [*fields, *(field.name for field in (*checks, *masks.values())), fmt.COMMIT, fmt.POSITIONS]
        self.datasets = {name: open_dataset(handle.file, name) for name in names}
        self._check_tree()
        self.descriptions = {name: read_description(dataset) for name, dataset in self.datasets.items()}
        self.commit = read_commit(lambda name, start, stop: self.datasets[name][start:stop], handle.num_envs)
        self.reader = ColumnReader(handle)
        self.reader.expect([*fields.values(), *checks, *masks.values()])
        self.reader.adopt(self.datasets)
        self.lane_counts = {
            field: self._committed_in_lanes(field, fields) for field in fields.values() if field.num_lanes is not None
        }
        self._counts = {field: self._committed(field, fields) for field in fields.values()}
        is_packed = self.codec.name is not None  # else the user wants no compression
        self.packed = {
            field: count for field, count in self._counts.items() if is_packed and packed_layout(field) is not None
        }
        self.copied = {field: count for field, count in self._counts.items() if field not in self.packed}
        for field in self.copied:
            if not recording_layout(field, self.codec).matches(self.datasets[field.name]):
                raise CorruptRecordingError(f"/{field.name} has other chunks or filters than this package makes")

        self.masks = {name: self._mask(name, field) for name, field in masks.items()}

    def new_layout(self, field: Field) -> Layout:
        """How compaction stores a field."""
        packed = packed_layout(field, self.packed[field]) if field in self.packed else None
        return packed or recording_layout(field, self.codec)

    @cached_property
    def copied_bytes(self) -> int:
        """About the bytes of the chunks that are copied as they are, and of their checksums."""
        total = 0
        with self.path.open("rb") as stream:
            for field, count in self.copied.items():
                names = [field.name, *([checksum_field(field).name] if self.has_checksums else [])]
                num_bytes = sum(stored_bytes(stream.fileno(), self.datasets[name]) for name in names)
                total += num_bytes * count // max(len(self.datasets[field.name]), 1)
        return total

    def _mask(self, name: str, field: Field) -> np.ndarray:
        count = len(self.datasets[field.name])
        check_mask_size(name, count, self.commit.episodes)
        numbers = self.reader.items(field.name, 0, count)
        check_mask(name, numbers, self.commit.episodes)
        if self.descriptions[field.name] != describe(field):
            raise CorruptRecordingError(f"/{field.name} has other attributes than this package makes")
        return numbers

    def _committed(self, field: Field, fields: dict[str, Field]) -> int:
        if field in self.lane_counts:
            count = int(self.lane_counts[field].max())
        else:
            count = most_items(field, fields, self.commit, self._end_at)
        self.reader.check_stored(field.name, count)
        return count

    def _committed_in_lanes(self, field: Field, fields: dict[str, Field]) -> np.ndarray:
        counts = np.zeros(len(self.commit.lane_rows), np.int64)
        for lane, rows in enumerate(self.commit.lane_rows):
            counts[lane] = committed_items(field, fields, rows, 0, partial(self._end_in_lane, lane))
        return counts

    def _end_in_lane(self, lane: int, name: str, index: int) -> int:
        return int(row_of(self._end_at(name, address(lane, index))))

    def _end_at(self, name: str, index: int) -> int:
        return int(self.reader.item(name, index))

    def _check_tree(self) -> None:
        """Compare the numbers of links and attributes. Nothing is listed: HDF5 would read all of it, of any size."""
        children: dict[str, set[str]] = defaultdict(set)
        for name in [*self.datasets, fmt.METADATA, *([fmt.FRAMES] if self.schema.linked_frames else [])]:
            for part in _and_its_groups(name):
                children[part.rpartition("/")[0]].add(part)
        num_attributes = {"": len(self.root), fmt.METADATA: len(self.metadata)}
        if self.schema.linked_frames and not is_same_object(self._file, fmt.FRAMES, fmt.OBSERVATIONS):
            raise CorruptRecordingError(f"/{fmt.FRAMES} is not another name of /{fmt.OBSERVATIONS}")
        for name in {*children, fmt.METADATA}:
            group = self._file[name or "/"].id  # by hard links only, as its datasets have been opened
            found = group.get_num_objs(), h5py.h5a.get_num_attrs(group)
            if found != (len(children[name]), num_attributes.get(name, 0)):
                raise CorruptRecordingError(f"/{name} has {found} members and attributes, more than this package makes")


def _and_its_groups(name: str) -> Iterable[str]:
    return itertools.accumulate(name.split("/"), lambda group, part: f"{group}/{part}")
