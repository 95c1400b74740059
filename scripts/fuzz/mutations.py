"""Changes bytes of good recordings at random. The number of a mutant decides all its changes.

Most of HDF5's own blocks have a checksum, so HDF5 refuses a changed block before it uses it. Half of the mutants
are therefore changed inside such a block, and its checksum is made to fit.
"""

from __future__ import annotations

import functools
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from gym_h5record.storage.hdf5.lookup3 import lookup3_hash

from .sites import Site
from .subjects import SUBJECTS, good_files

__all__ = ["KINDS", "Mutant", "make_mutant"]

_SIGNATURES = (b"OHDR", b"OCHK", b"EAHD", b"EAIB", b"EASB", b"EADB", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FSHD")
"""The first bytes of blocks with a checksum."""

_MAX_SEALED_BYTES = 1000  # of a block whose end is found by trying; an object header says where it ends
_MAX_PIECE_BYTES = 512
_JOURNAL_HEAD_BYTES = 16 << 10  # control words, the writer's error, and the JSON header
_NUMBERS = (0, 1, 2, 7, 127, 255, 1 << 15, 1 << 16, 1 << 31, 1 << 32, 1 << 40, 1 << 62, 1 << 63, 1 << 64)

Change = Callable[[bytearray, random.Random, int, int], None]
"""Changes some bytes between two offsets."""


@dataclass(frozen=True)
class Mutant:
    """A good recording with a flaw.

    Attributes:
        number: Its number.
        kind: The kind of its change, one of ``KINDS``.
        subject: The recording it is made from, one of ``SUBJECTS``.
        interrupted: Whether the recorder of that recording died, and left a journal.
        files: The contents of all its files, by the suffix of their name.
    """

    number: int
    kind: str
    subject: str
    interrupted: bool
    files: dict[str, bytes]

    def put(self, site: Site) -> None:
        """Write its files in the place of a site's recording."""
        for suffix, data in self.files.items():
            site.beside(suffix).write_bytes(data)


def make_mutant(number: int, seed: int = 0) -> Mutant:
    """The mutant of a number.

    Args:
        number: Any.
        seed: With another seed, the same numbers make other mutants.
    """
    chance = random.Random(f"{seed}:{number}")
    subject, interrupted = chance.choice([*SUBJECTS]), chance.random() < 0.3
    files = dict(good_files(subject, interrupted=interrupted))
    kind = chance.choices([*KINDS], [weight for weight, _ in KINDS.values()])[0]
    suffix = chance.choice(("", "", ".journal", ".journal", ".journal", ".redo")) if kind != "sealed" else ""
    suffix = suffix if suffix in files else ""
    data = bytearray(files[suffix])
    stop = min(_JOURNAL_HEAD_BYTES, len(data)) if suffix and chance.random() < 0.7 else len(data)
    if kind == "sealed":
        _change_sealed(data, chance, _sealed_blocks(subject, interrupted=interrupted))
    else:
        KINDS[kind][1](data, chance, 0, stop)
    return Mutant(number, kind, subject, interrupted, {**files, suffix: bytes(data)})


# Changes --------------------------------------------------------------------------------------------


def _flip_bits(data: bytearray, chance: random.Random, start: int, stop: int) -> None:
    for _ in range(chance.choice((1, 1, 1, 2, 8, 64))):
        data[chance.randrange(start, stop)] ^= 1 << chance.randrange(8)


def _replace_bytes(data: bytearray, chance: random.Random, start: int, stop: int) -> None:
    at = chance.randrange(start, stop)
    for place in range(at, min(at + chance.choice((1, 1, 2, 4, 16)), stop)):
        data[place] = chance.randrange(256)


def _set_number(data: bytearray, chance: random.Random, start: int, stop: int) -> None:
    size = chance.choice((1, 2, 4, 8))
    at = chance.randrange(start, max(start + 1, stop - size))
    number = chance.choice(_NUMBERS) + chance.choice((0, 0, -1, 1))
    data[at : at + size] = (number % (1 << 8 * size)).to_bytes(size, "little")


def _move_piece(data: bytearray, chance: random.Random, start: int, stop: int) -> None:
    source, target = (chance.randrange(start, stop) for _ in range(2))
    size = chance.randrange(1, _MAX_PIECE_BYTES)
    data[target : target + size] = data[source : source + size]


def _clear_piece(data: bytearray, chance: random.Random, start: int, stop: int) -> None:
    at, size = chance.randrange(start, stop), chance.randrange(1, _MAX_PIECE_BYTES)
    data[at : at + size] = bytes([chance.choice((0, 255))]) * len(data[at : at + size])


def _insert_or_remove(data: bytearray, chance: random.Random, start: int, stop: int) -> None:
    at, size = chance.randrange(start, stop), chance.randrange(1, _MAX_PIECE_BYTES)
    data[at : at + chance.choice((0, size))] = bytes(chance.choice((0, size)))


def _cut(data: bytearray, chance: random.Random, start: int, stop: int) -> None:
    del data[chance.randrange(start, stop) :]


def _change_sealed(data: bytearray, chance: random.Random, blocks: list[tuple[int, int]]) -> None:
    """Change a block that ends with a checksum, and make the checksum fit."""
    at, size = chance.choice(blocks)
    change = chance.choice((_flip_bits, _replace_bytes, _set_number, _set_number))
    change(data, chance, at + 4, at + size)  # not the signature
    struct.pack_into("<I", data, at + size, lookup3_hash(bytes(data[at : at + size])))


KINDS: dict[str, tuple[float, Change]] = {
    "bits": (1.0, _flip_bits),
    "bytes": (1.0, _replace_bytes),
    "numbers": (1.5, _set_number),
    "moved": (0.5, _move_piece),
    "cleared": (0.5, _clear_piece),
    "shifted": (0.3, _insert_or_remove),
    "cut": (0.2, _cut),
    "sealed": (5.0, _flip_bits),  # in blocks with a checksum
}
"""The kinds of changes: the weight of each, and its function."""


# Blocks with a checksum -----------------------------------------------------------------------------


@functools.cache
def _sealed_blocks(subject: str, *, interrupted: bool) -> list[tuple[int, int]]:
    """The blocks with a checksum: where each begins, and how many bytes come before its checksum."""
    data = good_files(subject, interrupted=interrupted)[""]
    blocks = [(0, 44)]
    for signature in _SIGNATURES:
        at = data.find(signature)
        while at >= 0:
            size = _sealed_bytes(data, at)
            blocks += [] if size is None else [(at, size)]
            at = data.find(signature, at + 1)
    return blocks


def _sealed_bytes(data: bytes, at: int) -> int | None:
    sizes = range(12, _MAX_SEALED_BYTES)
    if data.startswith(b"OHDR", at):
        flags = data[at + 5]
        fixed = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = fixed + width + int.from_bytes(data[at + fixed : at + fixed + width], "little")
        sizes = range(size, size + 1)
    for size in sizes:
        if data[at + size : at + size + 4] == struct.pack("<I", lookup3_hash(data[at : at + size])):
            return size
    return None
