"""HDF5's own blocks, checked before HDF5 sees them.

HDF5 2.0 believes the numbers in a block whose checksum is right. It walks through a heap by the sizes that the objects
claim, and loops for ever at an object of size 0; it divides by the size of a node; it allocates as many entries as a
header says. ``FileObject`` passes every block that HDF5 reads to ``check_block``, which compares these numbers, some
thirty, with those that HDF5 writes for a recording. It is no parser: damage that HDF5 notices itself is left to HDF5.
Layouts: HDF5 File Format Specification 3.0, section III.
"""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Callable

from gym_h5record.format.names import DESCRIPTION_ATTRIBUTES, METADATA_ATTRIBUTES, ROOT_ATTRIBUTES
from gym_h5record.limits import MAX_HEAP_BYTES, MAX_RANK, MAX_TEXT_BYTES
from gym_h5record.storage.hdf5.lookup3 import lookup3_hash

__all__ = ["check_block", "header_messages"]

_SIGNATURE_BYTES = 4
_UNDEFINED = (1 << 64) - 1  # stands for "no address"
_UINT32 = struct.Struct("<I")  # a checksum, a length
_MAX_DEPTH = 8  # of a B-tree: with nodes of 512 bytes, enough for a file of more than a terabyte
_MAX_SPACE = 1 << 40  # bytes in a heap of links or attributes; recordings have some thousand


def check_block(data: memoryview) -> None:
    """Make sure that HDF5 survives a block that it is about to read.

    Data may begin like a block by chance. So a block with a wrong checksum passes, as HDF5 refuses it itself, and so do
    bytes that begin no block, or only a part of one. An attribute has no checksum; it is checked only if it has the
    name of an attribute of recordings.

    Raises:
        OSError: If it is a block in which HDF5 would loop, crash, or take too much memory.
    """
    check = _CHECKS.get(bytes(data[:_SIGNATURE_BYTES]))
    if check is not None:
        check(data)
    _check_unsigned(data)  # also if it begins like a block: it may do so by chance


def _has_seal(data: memoryview, size: int) -> bool:
    """Whether ``data`` has ``size`` bytes and a checksum behind them, right or wrong."""
    return len(data) >= size + _UINT32.size


def _is_sealed(data: memoryview, size: int) -> bool:
    """Whether ``data`` has ``size`` bytes, followed by their checksum. Only blocks with wrong numbers are asked.

    A header of 300 bytes takes 30 us, and to record and close five steps of CartPole HDF5 reads 200 blocks.
    """
    return _has_seal(data, size) and _UINT32.unpack_from(data, size)[0] == lookup3_hash(bytes(data[:size]))


def _refuse(what: str) -> OSError:
    return OSError(errno.EIO, f"a damaged file: {what}")


# The global heap: texts -----------------------------------------------------------------------------

_HEAP_HEAD = struct.Struct("<4sB3xQ")  # signature, version, size of the heap
_HEAP_OBJECT = struct.Struct("<HH4xQ")  # number, references, size


def _check_global_heap(data: memoryview) -> None:
    if len(data) < _HEAP_HEAD.size:
        return
    _, version, size = _HEAP_HEAD.unpack_from(data)
    if version != 1:
        return
    if size > MAX_HEAP_BYTES:
        raise _refuse(f"a heap of {size} bytes")
    if size > len(data):  # HDF5 reads only the head yet; it reads the whole heap next
        return
    at = _HEAP_HEAD.size
    while at + _HEAP_OBJECT.size <= size:
        number, _, length = _HEAP_OBJECT.unpack_from(data, at)
        # Object 0 is the free space at the end of the heap; its size includes its head.
        step = length if number == 0 else _HEAP_OBJECT.size + -(-length // 8) * 8
        if step < _HEAP_OBJECT.size or step > size - at:
            raise _refuse(f"a heap with object {number} of {length} bytes")
        at += step


# The B-tree of version 2: links and attributes by name ----------------------------------------------

_TREE = struct.Struct("<4sBBIHHBBQHQ")  # ..., type, node size, record size, depth, split, merge, root, records, all
_TREE_NODE_BYTES = (512, 2048)  # for links, attributes and large objects; for chunks
_TREE_RECORD_BYTES = 64 + 8 * 33  # for chunks with 33 axes
_NODE_OVERHEAD_BYTES = 10


def _check_tree(data: memoryview) -> None:
    if not _has_seal(data, _TREE.size):
        return
    _, _, _, node, record, depth, split, merge, _, root_records, _ = _TREE.unpack_from(data)
    is_usual = (
        node in _TREE_NODE_BYTES
        and 0 < record <= _TREE_RECORD_BYTES
        and depth <= _MAX_DEPTH
        and 0 < merge < split <= 100
        and root_records * record <= node - _NODE_OVERHEAD_BYTES
    )
    if not is_usual and _is_sealed(data, _TREE.size):
        raise _refuse(f"a B-tree with nodes of {node} bytes, records of {record} and a depth of {depth}")


_NODE_HEAD_BYTES = 6
_ATTRIBUTE_RECORDS = {8: 17, 9: 13}  # type of the tree (ordered by name, by age): bytes of a record
_FLAGS_AT = 8  # in a record, behind the address in the heap
_POINTER_BYTES = range(9, 20)  # in an inner node, behind the records: an address, and the number of records there
_SHARED = 0x02  # "in the heap of shared messages". A recording has no such heap: HDF5 would follow a null pointer


def _check_node(data: memoryview) -> None:
    record = _ATTRIBUTE_RECORDS.get(data[_SIGNATURE_BYTES + 1]) if len(data) > _NODE_HEAD_BYTES else None
    if record is None:
        return
    starts = range(_NODE_HEAD_BYTES, len(data) - record, record)
    first = next((number for number, start in enumerate(starts) if data[start + _FLAGS_AT] & _SHARED), len(starts))
    # The node does not say how many records it has. The checksum tells: it stands right behind the last one. All counts
    # that include the flagged record are tried, and none if no record is flagged: a checksum costs 100 ns a byte.
    for pointer in _POINTER_BYTES if data[3] == ord("N") else (0,):
        for count in range(first + 1, len(starts) + 1):
            if _is_sealed(data, _NODE_HEAD_BYTES + count * record + (count + 1) * pointer):
                raise _refuse("an attribute that is said to be shared")


# The fractal heap: many links or attributes of a group ----------------------------------------------

_FRACTAL = struct.Struct("<4sBHHBIQQQQQQQQQQQQHQQHHQH")
_FRACTAL_WIDTH, _FRACTAL_MAX_BLOCK, _FRACTAL_FIRST_ROWS = 4, 64 << 10, 1
_FRACTAL_KINDS = {(512, 32), (1024, 40)}  # bytes of the first block, bits of an address: for links, for attributes
_FRACTAL_MAX_OBJECT = 4096
_FRACTAL_FILTER_HEAD_BYTES = 12  # in front of the description of filters: size and mask of the first block
_FRACTAL_ID_BYTES = range(7, 9)


def _check_fractal_heap(data: memoryview) -> None:
    if len(data) < _FRACTAL.size:
        return
    fields = _FRACTAL.unpack_from(data)
    id_bytes, filter_bytes, max_object, huge_at = fields[2], fields[3], fields[5], fields[7]
    space, allocated, offset = fields[10:13]
    has_huge = fields[15] > 0
    width, first, largest, bits, first_rows, _, rows = fields[18:]
    is_usual = (
        (width, largest, first_rows) == (_FRACTAL_WIDTH, _FRACTAL_MAX_BLOCK, _FRACTAL_FIRST_ROWS)
        and (first, bits) in _FRACTAL_KINDS
        and not filter_bytes
        and id_bytes in _FRACTAL_ID_BYTES
        and max_object <= _FRACTAL_MAX_OBJECT
        and rows <= bits
        and (huge_at < _UNDEFINED if has_huge else huge_at == _UNDEFINED)
        and max(space, allocated, offset) <= _MAX_SPACE
    )
    size = _FRACTAL.size + (filter_bytes and _FRACTAL_FILTER_HEAD_BYTES + filter_bytes)
    if not is_usual and _is_sealed(data, size):
        raise _refuse(f"a heap with {width} blocks a row, of {first} to {largest} bytes, and {bits}-bit addresses")


# The extensible array: the index of the chunks of a dataset -----------------------------------------

_ARRAY = struct.Struct("<4sBBBBBBBBQQQQQQQ")
_ARRAY_SHAPE = (32, 4, 16, 4, 10)  # bits of an index, entries in the index block, in the first data block, ...
_ARRAY_ENTRY_BYTES = range(8, 21)  # an address; for a compressed chunk also its size and filter mask


def _check_array(data: memoryview) -> None:
    if not _has_seal(data, _ARRAY.size):
        return
    _, _, _, entry, *shape = _ARRAY.unpack_from(data)[:9]
    is_usual = tuple(shape) == _ARRAY_SHAPE and entry in _ARRAY_ENTRY_BYTES
    if not is_usual and _is_sealed(data, _ARRAY.size):
        raise _refuse(f"an index of chunks with entries of {entry} bytes, laid out as {shape}")


# Attributes: the length that a text claims ------------------------------------------------------------

_ATTRIBUTE = struct.Struct("<BBHHH")  # version, flags, bytes of the name, of the type, of the space
_TYPE_ELSEWHERE = 0x01
_CLASS, _WHOLE_NUMBER, _STRING, _VARIABLE_LENGTH = 0x0F, 0, 3, 9
_TYPE = struct.Struct("<B3xI")  # class and version, bytes of a value
_NAMES = frozenset(name.encode() for name in (*ROOT_ATTRIBUTES, *METADATA_ATTRIBUTES))  # of our own attributes
_USUAL_NAMES = frozenset(name.encode() for name in DESCRIPTION_ATTRIBUTES)  # users may give them to objects of theirs
_DIMENSIONS_AT = {1: 8, 2: 4}  # in a dataspace, by its version
_TEXT_BYTES = 16  # of a text in an attribute: its length, and its place in a heap
_ANY_NAME = b"|".join(re.escape(name) for name in sorted(_NAMES | _USUAL_NAMES))
# Version, flags, size of the name, other sizes, perhaps the encoding, the name. A lookahead: matches may overlap.
_BEGIN = rb"(?=[\x01-\x03].[\x02-\x40]\x00.{4,5}(?:" + _ANY_NAME + rb"))"
_IN_BLOCKS = re.compile(_BEGIN, re.DOTALL)


def _check_attributes(data: memoryview) -> None:
    for found in _IN_BLOCKS.finditer(data):
        _check_attribute(data, found.start())


def _check_attribute(data: memoryview, at: int) -> None:
    """Check the length of a text: HDF5 allocates as much as the attribute claims before it looks for the text."""
    if at + _ATTRIBUTE.size > len(data):
        return
    version, flags, *sizes = _ATTRIBUTE.unpack_from(data, at)
    name_at = at + _ATTRIBUTE.size + (version == 3)  # version 3 has a byte for the encoding of the name
    name = bytes(data[name_at : name_at + sizes[0] - 1])  # HDF5 ignores the last byte
    name = name.partition(b"\0")[0]
    if name not in _NAMES and name not in _USUAL_NAMES:  # no others are ever read
        return
    name_bytes, type_bytes, space_bytes = (-(-size // 8) * 8 if version == 1 else size for size in sizes)
    type_at = name_at + name_bytes
    length_at = type_at + type_bytes + space_bytes
    if version > 1 and flags & _TYPE_ELSEWHERE:
        if name in _USUAL_NAMES:  # ``read_texts`` refuses it
            return
        raise _refuse("an attribute whose type is in another object")
    if length_at + _UINT32.size > len(data) or type_at + 2 * _TYPE.size > len(data):
        return
    if data[type_at] & _CLASS != _VARIABLE_LENGTH:
        return
    kind, character_bytes = _TYPE.unpack_from(data, type_at + _TYPE.size)
    count = _num_texts(data[type_at + type_bytes : length_at])
    for at in range(length_at, min(length_at + count * _TEXT_BYTES, len(data) - _UINT32.size + 1), _TEXT_BYTES):
        (length,) = _UINT32.unpack_from(data, at)
        is_text = kind & _CLASS in (_WHOLE_NUMBER, _STRING) and character_bytes == 1
        if length > MAX_TEXT_BYTES or not (is_text or name in _USUAL_NAMES):
            raise _refuse(f"an attribute of {length} times {character_bytes} bytes")


def _num_texts(space: memoryview) -> int:
    """How many values an attribute has, by its dataspace; one if that is cut short or of an unknown version."""
    if len(space) < 4 or space[0] not in _DIMENSIONS_AT or space[1] != 1:  # 1: the number of axes
        return 1
    at = _DIMENSIONS_AT[space[0]]
    return min(int.from_bytes(space[at : at + 8], "little"), MAX_RANK + 1)


# Headers of groups and datasets, and their other parts -----------------------------------------------

_HEADER_VERSION = 2
_TIMES, _PHASES, _ORDER = 0x20, 0x10, 0x04  # flags: the header has times, limits for attributes, their order
_MESSAGE = struct.Struct("<BHB")  # kind, bytes, flags
_ORDER_BYTES = 2
_CONTINUATION = 16
_CONTINUED = struct.Struct("<QQ")  # address, bytes
_MAX_HEADER_BYTES = 1 << 20


def header_messages(header: bytes | memoryview) -> tuple[int, int, int]:
    """The messages in an object header of version 2: their start, their end, and the bytes in front of each."""
    flags = header[5]
    at = 6 + (16 if flags & _TIMES else 0) + (4 if flags & _PHASES else 0)
    start = at + (1 << (flags & 3))
    stop = start + int.from_bytes(header[at:start], "little")
    return start, stop, _MESSAGE.size + (_ORDER_BYTES if flags & _ORDER else 0)


def _check_header(data: memoryview) -> None:
    if len(data) < 16 or data[4] != _HEADER_VERSION:
        return
    start, stop, head_bytes = header_messages(data)
    if stop > _MAX_HEADER_BYTES:  # HDF5 allocates this before it looks at the checksum
        raise _refuse(f"a header of {stop} bytes")
    _check_parts(data, start, stop, head_bytes)


def _check_header_part(data: memoryview) -> None:
    stop = len(data) - _UINT32.size  # HDF5 knows the size of a part, and reads exactly that
    if stop <= _MAX_HEADER_BYTES:
        _check_parts(data, _SIGNATURE_BYTES, stop, _MESSAGE.size)  # in a recording, attributes have no order


def _check_parts(data: memoryview, start: int, stop: int, head_bytes: int) -> None:
    """Check the messages between ``start`` and ``stop``, behind which the checksum of the block is."""
    if not _has_seal(data, stop):
        return
    try:
        _check_messages(data, start, stop, head_bytes)
        _check_attributes(data[start:stop])
    except OSError:
        if _is_sealed(data, stop):
            raise


def _check_messages(data: memoryview, at: int, stop: int, head_bytes: int) -> None:
    while at + head_bytes <= stop:
        kind, length, _ = _MESSAGE.unpack_from(data, at)
        at += head_bytes
        if kind == _CONTINUATION and length == _CONTINUED.size and at + length <= stop:
            _, part_bytes = _CONTINUED.unpack_from(data, at)
            if part_bytes > _MAX_HEADER_BYTES:
                raise _refuse(f"a header with a part of {part_bytes} bytes")
        at += length


# Headers of version 1, which older HDF5 writes, and large attributes: blocks without a signature -------

_OLD_MESSAGE_BYTES = 8
_IN_OLD_HEADERS = re.compile(rb"\x0c\x00(?=.{6}" + _BEGIN + rb")", re.DOTALL)  # a message of kind 12: an attribute


def _check_unsigned(data: memoryview) -> None:
    """Look for attributes in any data. Most of it is chunks, in which nothing looks like an attribute by chance."""
    _check_attribute(data, 0)
    for found in _IN_OLD_HEADERS.finditer(data):
        _check_attribute(data, found.start() + _OLD_MESSAGE_BYTES)


# The image of the metadata cache: all blocks in one piece. No recording has it, and check_block would miss its blocks.


def _refuse_image(data: memoryview) -> None:
    raise _refuse("an image of a metadata cache")


_CHECKS: dict[bytes, Callable[[memoryview], None]] = {
    b"GCOL": _check_global_heap,
    b"BTHD": _check_tree,
    b"BTIN": _check_node,
    b"BTLF": _check_node,
    b"FRHP": _check_fractal_heap,
    b"FHDB": _check_attributes,
    b"MDCI": _refuse_image,
    b"EAHD": _check_array,
    b"OHDR": _check_header,
    b"OCHK": _check_header_part,
}
