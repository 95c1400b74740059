"""Links that lead out of the file, nowhere, or in circles."""

from __future__ import annotations

import os
from collections.abc import Callable

import h5py

from scripts.fuzz.sites import Site
from tests.hostile.cases import COLUMNS, Cases, edit, fill_outside

__all__ = ["CASES"]

CASES = Cases()

GROUPS = ("observations", "observations/text", "infos", "infos/json", "episodes", "exceptions", "metadata")


def _external(site: Site, name: str) -> h5py.ExternalLink:
    return h5py.ExternalLink(str(fill_outside(site)), f"/{name}")


def _traversing(site: Site, name: str) -> h5py.ExternalLink:
    return h5py.ExternalLink(f"../outside/{fill_outside(site).name}", f"/{name}")


def _to_fifo(site: Site, name: str) -> h5py.ExternalLink:
    os.mkfifo(site.outside / "fifo")
    return h5py.ExternalLink(str(site.outside / "fifo"), f"/{name}")


KINDS: dict[str, Callable[[Site, str], object]] = {
    "a soft link to another dataset": lambda site, name: h5py.SoftLink("/spare"),
    "a soft link that dangles": lambda site, name: h5py.SoftLink("/nowhere"),
    "a soft link to itself": lambda site, name: h5py.SoftLink(f"/{name}"),
    "an external link": _external,
    "an external link up the tree": _traversing,
    "an external link to a FIFO": _to_fifo,
    "an external link to a device": lambda site, name: h5py.ExternalLink("/dev/zero", f"/{name}"),
    "an external link to this very file": lambda site, name: h5py.ExternalLink("run.h5", "/spare"),
    "an external link to itself": lambda site, name: h5py.ExternalLink("run.h5", f"/{name}"),
}


def _add(kind: str, target: str) -> None:
    def make(site: Site) -> None:
        link = KINDS[kind](site, target)
        with edit(site) as file:
            file["spare"] = file[target]
            del file[target]
            file[target] = link

    CASES.case(f"/{target} is {kind}")(make)


for _kind in KINDS:
    for _target in ("observations/picture", "commit", "infos/json/values", "episodes", "metadata"):
        _add(_kind, _target)
for _target in sorted(
    {*COLUMNS, *GROUPS} - {"observations/picture", "commit", "infos/json/values", "episodes", "metadata"}
):
    _add("an external link", _target)


@CASES.edited("groups are hard links to each other, round and round", expect="harmless")
def _(file: h5py.File) -> None:
    file["observations/loop"] = file["/"]
    file["episodes/loop"] = file["episodes"]
    file["loop/of/groups"] = file["metadata"]


@CASES.edited("/observations is the root")
def _(file: h5py.File) -> None:
    del file["observations"]
    file["observations"] = file["/"]


@CASES.edited("5,000 links more", expect="harmless")
def _(file: h5py.File) -> None:
    for number in range(5000):
        file[f"observations/{number}"] = h5py.SoftLink("/rewards")


@CASES.edited("names that drive a terminal", expect="harmless")
def _(file: h5py.File) -> None:
    file["\x1b[2J\x1b[31mgone"] = file["rewards"]
    file["observations/\x1b]0;title\x07\r\n"] = file["rewards"]
    file["x" * 60000] = file["rewards"]


@CASES.edited("all columns are one dataset")
def _(file: h5py.File) -> None:
    for name in ("actions", "types", "dones", "frames", "observations/picture", "episodes/starts"):
        del file[name]
        file[name] = file["rewards"]


@CASES.edited("a dataset where a group should be")
def _(file: h5py.File) -> None:
    del file["infos"]
    file["infos"] = [1, 2, 3]


@CASES.edited("metadata is a dataset")
def _(file: h5py.File) -> None:
    attributes = dict(file["metadata"].attrs)
    del file["metadata"]
    file["metadata"] = 1.0
    for name, value in attributes.items():
        file["metadata"].attrs[name] = value


@CASES.edited("metadata is missing")
def _(file: h5py.File) -> None:
    del file["metadata"]


for _name in COLUMNS:
    CASES.add_edited(f"/{_name} is missing", lambda file, name=_name: file.pop(name))
for _name in ("observations/picture", "commit", "episodes/starts", "types"):

    @CASES.edited(f"/{_name} is a group")
    def _(file: h5py.File, name: str = _name) -> None:
        del file[name]
        file.create_group(name)

    @CASES.edited(f"/{_name} is a committed datatype")
    def _(file: h5py.File, name: str = _name) -> None:
        kind = file[name].dtype
        del file[name]
        file[name] = kind


@CASES.edited("/rewards has a committed datatype", expect="harmless")
def _(file: h5py.File) -> None:
    values = file["rewards"][:]
    del file["rewards"]
    file["kinds/reward"] = values.dtype
    file.create_dataset("rewards", data=values, dtype=file["kinds/reward"], chunks=(512,), maxshape=(None,))
