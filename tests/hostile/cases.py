"""Hostile files: their names, how they are made from a good recording, and the allowed outcomes of reading them."""

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
"""The datasets that cases attack: one of each kind."""

Make = Callable[[Site], None]


@dataclass(frozen=True)
class Case:
    """One hostile file.

    Attributes:
        name: Its name in messages and tests.
        make: Puts it in the place of a site's recording.
        expect: The outcome of reading it with ``Recording``: ``"refused"`` if some of it cannot be read,
            ``"harmless"`` if its rows are those of the good recording, or ``"any"``.
        also: Entries beside the usual ones.
    """

    name: str
    make: Make
    expect: str = "refused"
    also: tuple[str, ...] = ()

    def problem(self, entry: str, outcome: Outcome, good_digest: str) -> str:
        """The problem of an outcome, empty if the outcome is allowed.

        Args:
            entry: The name of the entry.
            outcome: Its outcome.
            good_digest: The digest of reading the good recording.
        """
        if not outcome.is_allowed:
            return f"{outcome.kind}: {outcome.detail}"
        if entry == "read" and self.expect == "refused" and outcome.kind != "refused":
            return "it can be read as if nothing were wrong"
        if entry == "read" and self.expect == "harmless" and outcome.digest != good_digest:
            return f"its rows are not those of the good recording: {outcome.refused}"
        return ""


class Cases(list[Case]):
    """The cases of a module. The methods are decorators that add one."""

    def case(self, name: str, expect: str = "refused", also: tuple[str, ...] = ()) -> Callable[[Make], Make]:
        """Add a case whose file the function makes."""

        def add(make: Make) -> Make:
            self.append(Case(name, make, expect, also))
            return make

        return add

    def edited(self, name: str, expect: str = "refused", also: tuple[str, ...] = ()) -> Callable[..., Any]:
        """Add a case: a good recording, changed by the function, which gets the open file."""

        def add(change: Callable[[h5py.File], None]) -> Callable[[h5py.File], None]:
            self.add_edited(name, change, expect, also)
            return change

        return add

    def add_edited(
        self, name: str, change: Callable[[h5py.File], None], expect: str = "refused", also: tuple[str, ...] = ()
    ) -> None:
        """Add a case: a good recording, changed by ``change``, which gets the open file."""

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
    """Put a good recording in the place of a site's recording."""
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
    """Replace a dataset by a new one; options that are not given are those of the old one."""
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
    """Change the JSON value of an attribute of ``/metadata``."""
    attributes = file["metadata"].attrs
    content = json.loads(attributes[name])
    changed = change(content)
    attributes[name] = json.dumps(content if changed is None else changed)


def set_text(file: h5py.File, name: str, row: int, text: bytes) -> None:
    """Replace a text of a ragged column."""
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
    """Make a recording outside whose datasets repeat the secret; its path."""
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
