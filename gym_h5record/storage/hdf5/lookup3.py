"""The checksum of HDF5's own blocks. None of the libraries that this package uses offers it.

Source: Bob Jenkins, lookup3.c, May 2006, public domain.
"""

from __future__ import annotations

import struct

__all__ = ["lookup3_hash"]

_MASK = 0xFFFFFFFF
_WORD_BYTES = 12  # that are mixed at a time


def lookup3_hash(data: bytes) -> int:
    """Bob Jenkins' ``hashlittle`` with initial value 0; some 65 ns a byte."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    if not data:
        return c
    words: tuple[int, ...] = struct.unpack(
        f"<{-(-len(data) // _WORD_BYTES) * 3}I", data + bytes(-len(data) % _WORD_BYTES)
    )
    # A sum is masked only where its bits are rotated next.
    for at in range(0, len(words) - 3, 3):
        a, b, c = a + words[at], b + words[at + 1], (c + words[at + 2]) & _MASK
        a = ((a - c) ^ (c << 4 | c >> 28)) & _MASK
        c += b
        b = ((b - a) ^ (a << 6 | a >> 26)) & _MASK
        a += c
        c = ((c - b) ^ (b << 8 | b >> 24)) & _MASK
        b += a
        a = ((a - c) ^ (c << 16 | c >> 16)) & _MASK
        c += b
        b = ((b - a) ^ (a << 19 | a >> 13)) & _MASK
        a += c
        c = ((c - b) ^ (b << 4 | b >> 28)) & _MASK
        b += a
    a, b, c = a + words[-3], (b + words[-2]) & _MASK, c + words[-1]
    c = ((c ^ b) - (b << 14 | b >> 18)) & _MASK
    a = ((a ^ c) - (c << 11 | c >> 21)) & _MASK
    b = ((b ^ a) - (a << 25 | a >> 7)) & _MASK
    c = ((c ^ b) - (b << 16 | b >> 16)) & _MASK
    a = ((a ^ c) - (c << 4 | c >> 28)) & _MASK
    b = ((b ^ a) - (a << 14 | a >> 18)) & _MASK
    return ((c ^ b) - (b << 24 | b >> 8)) & _MASK
