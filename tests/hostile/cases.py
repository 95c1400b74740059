"""A hostile file: its name, how it is made from a good recording, and what reading it must give."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from scripts.fuzz.sites import Site
from scripts.fuzz.subjects import SUBJECT, SUBJECTS, good_files, record
from scripts.fuzz.worker import Outcome

__all__ = [
    "COLUMNS",
    "Case",
    "Cases",
    "edit",
    "edit_json",
    "fill_outside",
    "good_files",
    "plant",
    "replace",
    "set_text",
]

COLUMNS = (
    "observations/picture",
    "observations/text/values",
    "observations/text/ends",
    "actions",
    "rewards",
    "terminations",
    "dones",
    "frames",
    "types",
    "exceptions/values",
    "infos/position",
    "infos/json/values",
    "infos/json/ends",
    "episodes/starts",
    "episodes/returns",
    "episodes/json/ends",
    "commit",
)
"""Datasets that are worth an attack: one of each kind."""

Make = Callable[[Site], None]


@dataclass(frozen=True)
class Case:
    """One hostile file.

    Attributes:
        name: For people.
        make: Puts it where the recording of a site would be.
        expect: What ``Recording`` must make of it: ``"refused"`` if something of it cannot be read,
            ``"harmless"`` if its rows are those of the good recording, or ``"any"``.
        also: Entries beside the usual ones.
    """

    name: str
    make: Make
    expect: str = "refused"
    also: tuple[str, ...] = ()

    def problem(self, entry: str, outcome: Outcome, good_digest: str) -> str:
        """What is wrong with what came of an entry, nothing if it is as it must be.

        Args:
            entry: Which entry.
            outcome: What came of it.
            good_digest: That of reading the good recording.
        """
        if not outcome.is_allowed:
            return f"{outcome.kind}: {outcome.detail}"
        if entry == "read" and self.expect == "refused" and outcome.kind != "refused":
            return "it can be read as if nothing were wrong"
        if entry == "read" and self.expect == "harmless" and outcome.digest != good_digest:
            return f"its rows are not those of the good recording: {outcome.refused}"
        return ""


class Cases(list[Case]):
    """The cases of a module, collected by its decorators."""

    def case(self, name: str, expect: str = "refused", also: tuple[str, ...] = ()) -> Callable[[Make], Make]:
        """Make a case of a function."""

        def add(make: Make) -> Make:
            self.append(Case(name, make, expect, also))
            return make

        return add

    def edited(self, name: str, expect: str = "refused", also: tuple[str, ...] = ()) -> Callable[..., Any]:
        """Make a case of a function that changes the open file of a good recording."""

        def add(change: Callable[[h5py.File], None]) -> Callable[[h5py.File], None]:
            self.add_edited(name, change, expect, also)
            return change

        return add

    def add_edited(
        self, name: str, change: Callable[[h5py.File], None], expect: str = "refused", also: tuple[str, ...] = ()
    ) -> None:
        """Add a case: a good recording of which the open file is changed."""

        def make(site: Site) -> None:
            with edit(site) as file:
                change(file)

        self.append(Case(name, make, expect, also))


# Good recordings ------------------------------------------------------------------------------------


@functools.cache
def _compressed(compression: str | None) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        return record(Path(directory) / "run.h5", compression=compression).read_bytes()


def plant(site: Site, subject: str = SUBJECT, *, interrupted: bool = False, compression: str | None = "gzip") -> None:
    """Put a good recording where hostile ones will be."""
    assert subject in SUBJECTS
    if compression != "gzip":
        site.path.write_bytes(_compressed(compression))
        return
    for suffix, data in good_files(subject, interrupted=interrupted).items():
        site.beside(suffix).write_bytes(data)


@contextmanager
def edit(site: Site, subject: str = SUBJECT, *, compression: str | None = "gzip") -> Iterator[h5py.File]:
    """A good recording, open for changes."""
    plant(site, subject, compression=compression)
    with h5py.File(site.path, "r+", libver=("v110", "v110")) as file:
        yield file


# Ways of changing one -------------------------------------------------------------------------------


def replace(file: h5py.File, name: str, **options: Any) -> h5py.Dataset:
    """Put another dataset in the place of one; what is not said is as it was."""
    old = file[name]
    usual = {"shape": old.shape, "dtype": old.dtype, "maxshape": (None, *old.shape[1:]), "chunks": old.chunks}
    if "data" in options:
        usual.pop("shape")
        usual.pop("dtype")
    if options.get("chunks", 0) is None:
        usual.pop("maxshape")
    del file[name]
    return file.create_dataset(name, **{**usual, **options})


def edit_json(file: h5py.File, name: str, change: Callable[[Any], Any]) -> None:
    """Change an attribute of ``/metadata`` that is JSON."""
    attributes = file["metadata"].attrs
    content = json.loads(attributes[name])
    changed = change(content)
    attributes[name] = json.dumps(content if changed is None else changed)


def set_text(file: h5py.File, name: str, row: int, text: bytes) -> None:
    """Change a text of a ragged column."""
    ends, values = file[f"{name}/ends"], file[f"{name}/values"]
    stops = ends[:]
    starts = np.concatenate([[0], stops[:-1]])
    data = values[:].tobytes()
    texts = [data[start:stop] for start, stop in zip(starts, stops, strict=True)]
    texts[row] = text
    joined = np.frombuffer(b"".join(texts), np.uint8)
    values.resize(len(joined), axis=0)
    values[:] = joined
    ends[:] = np.cumsum([len(each) for each in texts])


def fill_outside(site: Site) -> Path:
    """An HDF5 file outside, like a recording, of which every byte of data is secret."""
    path = site.outside / "other.h5"
    site.path.parent.mkdir(exist_ok=True)
    path.write_bytes(good_files()[""])
    with h5py.File(path, "r+") as file:

        def conceal(name: str, found: Any) -> None:
            if isinstance(found, h5py.Dataset) and found.dtype != bool:
                size = found.size * found.dtype.itemsize
                data = (site.secret * (size // len(site.secret) + 1))[:size]
                found[...] = np.frombuffer(data, found.dtype).reshape(found.shape)

        file.visititems(conceal)
        file["metadata"].attrs["env_name"] = site.secret.hex()
    return path
