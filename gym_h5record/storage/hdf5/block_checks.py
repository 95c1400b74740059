"""HDF5's own blocks: can HDF5 be let at them?

HDF5 2.0 believes what stands in a block whose checksum is right. It walks through
a heap by the sizes that its objects claim, and never comes back from one that
claims nothing; divides by the size of a node; and takes memory for as many entries
as a header says. Whoever reads a file through Python looks at every block that
comes by, and compares those few numbers with what HDF5 writes for a recording.
This is no parser: what HDF5 notices itself is left to it. Layouts: HDF5 File Format
Specification 3.0, section III.
"""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Callable

from gym_h5record.format.names import METADATA_ATTRIBUTES, ROOT_ATTRIBUTES
from gym_h5record.limits import MAX_HEAP_BYTES, MAX_TEXT_BYTES
from gym_h5record.storage.hdf5.lookup3 import lookup3

__all__ = ["check_block"]


_SIGNATURE_BYTES = 4
_UNDEFINED = (1 << 64) - 1  # an address that is none
_CHECKSUM = struct.Struct("<I")
_MAX_DEPTH = 8  # of a B-tree: nodes of 512 bytes then hold more than a file of a terabyte
_MAX_SPACE = 1 << 40  # bytes in a heap of links or attributes; recordings have some thousand


def check_block(data: memoryview) -> None:
    """Make sure that HDF5 comes back from what it has just read.

    Args:
        data: Any bytes of a file, read at once. Those that begin no block, or only part of one, are fine, and so is
            a block whose checksum is wrong, which HDF5 refuses itself: data may begin like a block by chance. What
            has no checksum is refused for what can hardly be chance, the name of an attribute of recordings.

    Raises:
        OSError: If they are a block in which HDF5 would go in circles, crash, or take too much memory.
    """
    check = _CHECKS.get(bytes(data[:_SIGNATURE_BYTES]))
    if check is not None:
        check(data)
    _check_unsigned(data)  # what begins like a block may be something else


def _is_sealed(data: memoryview, size: int) -> bool:
    """Whether the first ``size`` bytes are there and followed by their checksum."""
    if len(data) < size + _CHECKSUM.size:
        return False
    return bool(_CHECKSUM.unpack_from(data, size)[0] == lookup3(bytes(data[:size])))


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
        raise OSError(errno.EFBIG, f"a heap of {size} bytes")
    if size > len(data):  # HDF5 is about to read the whole of it
        return
    at = _HEAP_HEAD.size
    while at + _HEAP_OBJECT.size <= size:
        number, _, length = _HEAP_OBJECT.unpack_from(data, at)
        # Object 0 is the free space, whose size includes its head; what is behind it is not looked at.
        step = length if number == 0 else _HEAP_OBJECT.size + -(-length // 8) * 8
        if step < _HEAP_OBJECT.size or step > size - at:
            raise OSError(errno.EIO, f"a damaged heap: object {number} of {length} bytes")
        at += step


# The B-tree of version 2: links and attributes by name ----------------------------------------------

_TREE = struct.Struct("<4sBBIHHBBQHQ")  # ..., type, node size, record size, depth, split, merge, root, records, all
_TREE_NODE_BYTES = (512, 2048)  # of links, attributes and large objects; of chunks
_TREE_RECORD_BYTES = 64 + 8 * 33  # of chunks with 33 axes
_NODE_OVERHEAD_BYTES = 10


def _check_tree(data: memoryview) -> None:
    if not _is_sealed(data, _TREE.size):
        return
    _, _, _, node, record, depth, split, merge, _, root_records, _ = _TREE.unpack_from(data)
    if (
        node not in _TREE_NODE_BYTES
        or not 0 < record <= _TREE_RECORD_BYTES
        or depth > _MAX_DEPTH
        or not 0 < merge < split <= 100
        or root_records * record > node - _NODE_OVERHEAD_BYTES
    ):
        raise _refuse(f"a B-tree with nodes of {node} bytes, records of {record} and a depth of {depth}")


_NODE_HEAD_BYTES = 6
_ATTRIBUTE_RECORDS = {8: 17, 9: 13}  # by type of the tree, by name and by age: bytes of a record
_FLAGS_AT = 8  # in a record: behind the place in the heap
_POINTER_BYTES = range(9, 20)  # in an inner node, behind the records: address, and how many records are there
_SHARED = 0x02  # "in the heap of shared messages", which recordings do not have: HDF5 then follows a null pointer


def _check_node(data: memoryview) -> None:
    record = _ATTRIBUTE_RECORDS.get(data[_SIGNATURE_BYTES + 1]) if len(data) > _NODE_HEAD_BYTES else None
    if record is None:
        return
    starts = range(_NODE_HEAD_BYTES, len(data) - record, record)
    first = next((number for number, start in enumerate(starts) if data[start + _FLAGS_AT] & _SHARED), len(starts))
    # Which of them are records, and not what is behind them, tells the checksum alone, which takes time.
    for pointer in _POINTER_BYTES if data[3] == ord("N") else (0,):
        for count in range(first + 1, len(starts) + 1):
            if _is_sealed(data, _NODE_HEAD_BYTES + count * record + (count + 1) * pointer):
                raise _refuse("an attribute that is said to be shared")


# The fractal heap: many links or attributes of a group ----------------------------------------------

_FRACTAL = struct.Struct("<4sBHHBIQQQQQQQQQQQQHQQHHQH")
_FRACTAL_WIDTH, _FRACTAL_MAX_BLOCK, _FRACTAL_FIRST_ROWS = 4, 64 << 10, 1
_FRACTAL_KINDS = {(512, 32), (1024, 40)}  # first block, bits of an address: links, attributes
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
    if not _is_sealed(data, _FRACTAL.size + (filter_bytes and _FRACTAL_FILTER_HEAD_BYTES + filter_bytes)):
        return
    if (
        (width, largest, first_rows) != (_FRACTAL_WIDTH, _FRACTAL_MAX_BLOCK, _FRACTAL_FIRST_ROWS)
        or (first, bits) not in _FRACTAL_KINDS
        or filter_bytes
        or id_bytes not in _FRACTAL_ID_BYTES
        or max_object > _FRACTAL_MAX_OBJECT
        or rows > bits
        or (huge_at >= _UNDEFINED if has_huge else huge_at != _UNDEFINED)
        or max(space, allocated, offset) > _MAX_SPACE
    ):
        raise _refuse(f"a heap with {width} blocks a row, of {first} to {largest} bytes, and {bits}-bit addresses")


# The extensible array: where the chunks of a dataset are --------------------------------------------

_ARRAY = struct.Struct("<4sBBBBBBBBQQQQQQQ")
_ARRAY_SHAPE = (32, 4, 16, 4, 10)  # bits of an index, entries in the index block, in the first data block, ...
_ARRAY_ENTRY_BYTES = range(8, 21)  # an address, and if it is compressed, size and mask


def _check_array(data: memoryview) -> None:
    if not _is_sealed(data, _ARRAY.size):
        return
    _, _, _, entry, *shape = _ARRAY.unpack_from(data)[:9]
    if tuple(shape) != _ARRAY_SHAPE or entry not in _ARRAY_ENTRY_BYTES:
        raise _refuse(f"an index of chunks with entries of {entry} bytes, laid out as {shape}")


# Attributes: how long a text says it is ---------------------------------------------------------------

_ATTRIBUTE = struct.Struct("<BBHHH")  # version, flags, bytes of the name, of the type, of the space
_TYPE_ELSEWHERE = 0x01
_CLASS, _WHOLE_NUMBER, _STRING, _VARIABLE_LENGTH = 0x0F, 0, 3, 9
_TYPE = struct.Struct("<B3xI")  # class and version, bytes of a value
_LENGTH = struct.Struct("<I")
_NAMES = frozenset(name.encode() for name in (*ROOT_ATTRIBUTES, *METADATA_ATTRIBUTES))  # nobody asks for others
_BEGIN = rb"(?=[\x01-\x03].[\x02-\x40]\x00)"  # version, flags and size of a name, in front of other attributes as well
_IN_BLOCKS = re.compile(_BEGIN, re.DOTALL)


def _check_attributes(data: memoryview) -> None:
    for found in _IN_BLOCKS.finditer(data):
        _check_attribute(data, found.start())


def _check_attribute(data: memoryview, at: int) -> None:
    """HDF5 takes memory for as long a text as an attribute says, before it looks for the text."""
    if at + _ATTRIBUTE.size > len(data):
        return
    version, flags, *sizes = _ATTRIBUTE.unpack_from(data, at)
    name_at = at + _ATTRIBUTE.size + (version == 3)  # which says how the name is encoded
    name = bytes(data[name_at : name_at + sizes[0] - 1])  # HDF5 does not look at its last byte
    if name.partition(b"\0")[0] not in _NAMES:
        return
    name_bytes, type_bytes, space_bytes = (-(-size // 8) * 8 if version == 1 else size for size in sizes)
    type_at = name_at + name_bytes
    length_at = type_at + type_bytes + space_bytes
    if version > 1 and flags & _TYPE_ELSEWHERE:
        raise _refuse("an attribute whose type is elsewhere")
    if length_at + _LENGTH.size > len(data) or type_at + 2 * _TYPE.size > len(data):
        return
    if data[type_at] & _CLASS != _VARIABLE_LENGTH:
        return
    kind, character_bytes = _TYPE.unpack_from(data, type_at + _TYPE.size)
    (length,) = _LENGTH.unpack_from(data, length_at)
    if kind & _CLASS not in (_WHOLE_NUMBER, _STRING) or character_bytes != 1 or length > MAX_TEXT_BYTES:
        raise _refuse(f"an attribute of {length} times {character_bytes} bytes")


# Headers of groups and datasets: where their other parts are -----------------------------------------

_HEADER_VERSION = 2
_TIMES, _PHASES, _ORDER = 0x20, 0x10, 0x04  # flags of a header: what it has beside its messages
_MESSAGE = struct.Struct("<BHB")  # kind, bytes, flags
_ORDER_BYTES = 2
_CONTINUATION = 16
_CONTINUED = struct.Struct("<QQ")  # address, bytes
_MAX_HEADER_BYTES = 1 << 20


def _check_header(data: memoryview) -> None:
    if len(data) < 16 or data[4] != _HEADER_VERSION:
        return
    flags = data[5]
    at = 6 + (16 if flags & _TIMES else 0) + (4 if flags & _PHASES else 0)
    start = at + (1 << (flags & 3))
    stop = start + int.from_bytes(data[at:start], "little")
    if stop > _MAX_HEADER_BYTES:  # HDF5 takes memory for it before it looks at the checksum
        raise _refuse(f"a header of {stop} bytes")
    if _is_sealed(data, stop):
        _check_messages(data, start, stop, _MESSAGE.size + (_ORDER_BYTES if flags & _ORDER else 0))
        _check_attributes(data[start:stop])


def _check_header_part(data: memoryview) -> None:
    stop = len(data) - _CHECKSUM.size  # HDF5 knows how large it is
    if stop <= _MAX_HEADER_BYTES and _is_sealed(data, stop):
        _check_messages(data, _SIGNATURE_BYTES, stop, _MESSAGE.size)  # no recording keeps the order of attributes
        _check_attributes(data[:stop])


def _check_messages(data: memoryview, at: int, stop: int, head_bytes: int) -> None:
    while at + head_bytes <= stop:
        kind, length, _ = _MESSAGE.unpack_from(data, at)
        at += head_bytes
        if kind == _CONTINUATION and length == _CONTINUED.size and at + length <= stop:
            _, part_bytes = _CONTINUED.unpack_from(data, at)
            if part_bytes > _MAX_HEADER_BYTES:
                raise _refuse(f"a header with a part of {part_bytes} bytes")
        at += length


# Headers of version 1, which older HDF5 writes, and large attributes: nothing says what they are -------

_OLD_MESSAGE_BYTES = 8
_IN_OLD_HEADERS = re.compile(rb"\x0c\x00(?=.{6}" + _BEGIN + rb")", re.DOTALL)  # in a message of kind 12


def _check_unsigned(data: memoryview) -> None:
    """Look for attributes in any data: mostly they are chunks, which have none by chance."""
    _check_attribute(data, 0)
    for found in _IN_OLD_HEADERS.finditer(data):
        _check_attribute(data, found.start() + _OLD_MESSAGE_BYTES)


# All metadata in one piece, to open a file faster: no recording has it, and no block in it would pass here


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
