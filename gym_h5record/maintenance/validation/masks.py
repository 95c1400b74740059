"""Check the masks: is every mask there that the metadata names, and does it name episodes of the recording?"""

from __future__ import annotations

from collections.abc import Iterator

from gym_h5record.errors import CorruptRecordingError
from gym_h5record.format.masks import check_mask, check_mask_size, mask_field, mask_names
from gym_h5record.maintenance.validation.problems import Problem, make_problem, reason
from gym_h5record.storage.column_reader import ColumnReader
from gym_h5record.storage.handle import Handle

__all__ = ["mask_problems"]


def mask_problems(handle: Handle, num_episodes: int) -> Iterator[Problem]:
    """Find what is wrong with the masks of an open recording: one problem for each that cannot be used."""
    try:
        names = mask_names(handle.metadata())
    except CorruptRecordingError:
        return  # ``metadata_problems`` says so
    storage = ColumnReader(handle)  # of its own: that of the columns refuses only what differs from the schema
    storage.expect(map(mask_field, names))
    for name in names:
        field = mask_field(name).name
        try:
            count = storage.length(field)
            check_mask_size(name, count, num_episodes)
            check_mask(name, storage.items(field, 0, count), num_episodes)
        except CorruptRecordingError as error:
            yield make_problem("mask", f"/{field}", reason(error, handle.path))
