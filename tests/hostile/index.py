"""Numbers that point beyond the data: commits, episodes, ends of lists, codes of types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from scripts.fuzz.sites import Site
from tests.hostile.cases import Cases, edit

__all__ = ["CASES"]

CASES = Cases()

LAST = (1 << 63) - 1
FIRST = -(1 << 63)

# Numbers to put into a column.
NUMBERS: dict[str, Any] = {
    "-1": -1,
    "2^62": 1 << 62,
    "the largest there is": LAST,
    "the smallest there is": FIRST,
    "7": 7,
    "1": 1,
}


for _words, _values in {
    "-1 rows": (-1, 0),
    "-1 episodes": (7, -1),
    "more episodes than rows": (7, 8),
    "more rows than there are": (8, 2),
    "the largest number of rows": (LAST, 2),
    "the largest numbers": (LAST, LAST),
    "the smallest numbers": (FIRST, FIRST),
    "no rows but episodes": (0, 2),
}.items():
    CASES.add_edited(f"/commit claims {_words}", lambda file, values=_values: file["commit"].__setitem__(..., values))
CASES.add_edited("/commit claims nothing", lambda file: file["commit"].__setitem__(..., (0, 0)), expect="any")
CASES.add_edited("/commit claims fewer rows than its episodes", lambda file: file["commit"].__setitem__(0, 3))
CASES.add_edited("/commit claims no episodes", lambda file: file["commit"].__setitem__(1, 0), expect="any")
CASES.add_edited("/commit has one number", lambda file: file["commit"].resize(1, axis=0))


def _number(name: str, value: Any, at: Any = -1) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        values = file[name][:]
        values[at] = value
        file[name][:] = values

    return change


for _words, _value in NUMBERS.items():
    for _name in ("episodes/starts", "episodes/lengths"):
        CASES.add_edited(f"the last of /{_name} is {_words}", _number(_name, _value), expect="any")
        CASES.add_edited(f"the first of /{_name} is {_words}", _number(_name, _value, 0), expect="any")
    for _name in (
        "observations/text/ends",
        "infos/json/ends",
        "exceptions/ends",
        "episodes/json/ends",
        "episodes/seeds",
        "episodes/ids",
        "actions",
        "infos/lives",
    ):
        CASES.add_edited(f"the last of /{_name} is {_words}", _number(_name, _value), expect="any")
    for _name in ("observations/text/ends", "infos/json/ends", "exceptions/ends", "episodes/json/ends"):
        CASES.add_edited(f"all of /{_name} are {_words}", _number(_name, _value, slice(None)), expect="any")
        CASES.add_edited(f"the first of /{_name} is {_words}", _number(_name, _value, 0), expect="any")


@CASES.edited("starts and lengths whose sum overflows")
def _(file: h5py.File) -> None:
    file["episodes/starts"][:] = (LAST, 4)
    file["episodes/lengths"][:] = (LAST, 2)


@CASES.edited("episodes that overlap", expect="any")
def _(file: h5py.File) -> None:
    file["episodes/starts"][:] = (0, 0)
    file["episodes/lengths"][:] = (6, 6)


@CASES.edited("episodes the wrong way round", expect="any")
def _(file: h5py.File) -> None:
    for name in ("starts", "lengths"):
        file[f"episodes/{name}"][:] = file[f"episodes/{name}"][:][::-1]


@CASES.edited("returns that are no numbers", expect="any", also=("cli replay --gif NEW.gif --png NEW.png",))
def _(file: h5py.File) -> None:
    file["episodes/returns"][:] = (np.nan, np.inf)
    file["rewards"][:] = np.nan


@CASES.edited("origins that there are not")
def _(file: h5py.File) -> None:
    file["episodes/origins"][:] = (77, 255)


@CASES.edited("flags that contradict each other", expect="any")
def _(file: h5py.File) -> None:
    for name in ("terminated", "truncated", "complete"):
        file[f"episodes/{name}"][:] = True
    for name in ("terminations", "truncations", "dones"):
        file[name][:] = True


@CASES.edited("seeds in JSON that is not there")
def _(file: h5py.File) -> None:
    file["episodes/seeds"][:] = -2


for _code in (0, 1, 2, 3, 4, 5, 6, 15, 16, 20, 27, 28, 99, 254):
    CASES.add_edited(
        f"every value has type code {_code}",
        lambda file, code=_code: file["types"].__setitem__(..., code),
        expect="any",
        also=("cli replay --gif NEW.gif --png NEW.png",) if _code in (0, 1, 2) else (),
    )


@CASES.edited("texts that are not UTF-8")
def _(file: h5py.File) -> None:
    file["observations/text/values"][:] = 0xFF


@CASES.edited("texts that drive a terminal", expect="any")
def _(file: h5py.File) -> None:
    count = len(file["observations/text/values"])
    text = (b"\x1b[2J\x1b]0;x\x07\r\n\xc2\x9b31m" * count)[:count]
    file["observations/text/values"][:] = np.frombuffer(text, np.uint8)


# A recording of every kind of list ------------------------------------------------------------------

LISTS = (
    "words",
    "words/values",
    "points",
    "views",
    "nothing",
    "graph/nodes",
    "graph/edges",
    "graph/edge_links",
    "choice/0",
)


def _zoo(name: str, value: Any, at: Any) -> Callable[[Site], None]:
    def make(site: Site) -> None:
        with edit(site, "everything, gzip") as file:
            if f"observations/{name}" in file and len(file[f"observations/{name}"]):
                _number(f"observations/{name}", value, at)(file)

    return make


for _list in LISTS:
    for _words in ("-1", "2^62", "the largest there is"):
        CASES.case(f"the last end of /observations/{_list} is {_words}", expect="any")(
            _zoo(f"{_list}/ends", NUMBERS[_words], -1)
        )
    CASES.case(f"the ends of /observations/{_list} are 2^30 each", expect="any")(
        _zoo(f"{_list}/ends", 1 << 30, slice(None))
    )
    CASES.case(f"the ends of /observations/{_list} decrease", expect="any")(_zoo(f"{_list}/ends", 0, slice(1, None, 2)))
for _value in (-1, 2, 1 << 62, FIRST):
    CASES.case(f"the choices are {_value}", expect="any")(_zoo("choice/index", _value, slice(None)))
for _value in (0, 4, 255):
    CASES.case(f"the parts of graphs are {_value}", expect="any")(_zoo("graph/parts", _value, slice(None)))
