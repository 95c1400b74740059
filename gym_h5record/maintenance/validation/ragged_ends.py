"""Check where the items of ragged values lie: ``ends``, the ``parts`` of graphs, the ``index`` of choices.

The items themselves are read later, when values are decoded. Decoding is safe where these checks find nothing.
"""

from __future__ import annotations

import numpy as np

from gym_h5record.format import nodes
from gym_h5record.maintenance.validation.problems import quote
from gym_h5record.maintenance.validation.row_blocks import TargetColumns

__all__ = ["RaggedChecks"]

_BLOCK_ITEMS = 1 << 16
_LINKS, _ALL_PARTS = 2, 3
_MAX_ITEMS_OF_NOTHING = 1 << 20  # of lists whose items have no dataset, so that no length limits their ends


class RaggedChecks:
    """Checks ragged nodes, and adds what is wrong to the findings of ``columns``."""

    def __init__(self, columns: TargetColumns) -> None:
        self._columns = columns
        self._findings = columns.findings

    def sizes(self, node: nodes.Node, start: int, stop: int, chosen: np.ndarray | None = None) -> np.ndarray | None:
        """Check values, and measure how much of each is stored: 0 only where nothing is.

        Args:
            node: A ragged node, or any node that the items of one may have.
            start: Number of the first row; inside a list, of the first item.
            stop: Number behind the last.
            chosen: Which rows have a value, ``(stop - start,)`` bool; None if all have.

        Returns:
            ``(stop - start,)`` int64, or None if the values cannot be decoded.
        """
        if isinstance(node, (nodes.Text, nodes.Json)):
            return self._lengths(node.characters, start, stop)
        if isinstance(node, nodes.Sequence):
            return self._lengths(node.items, start, stop)
        if isinstance(node, nodes.Graph):
            return self._graph(node, start, stop)
        if isinstance(node, nodes.OneOf):
            return self._one_of(node, start, stop, chosen)
        return _sum([self.sizes(child, start, stop) for child in node.children()], stop - start)

    def check_stacks(self, node: nodes.Stack, start: int, stop: int, begins: np.ndarray) -> bool:
        """Check that each row has all earlier frames of its stack or none, and the first row of an episode has them.

        Args:
            node: The node.
            start: The first row.
            stop: The row behind the last.
            begins: Which rows are the first of their episode, ``(stop - start,)`` bool.
        """
        counts = self._lengths(node.earlier, start, stop)
        if counts is None:
            return False
        all_frames = node.shape[0] - 1
        wrong = (counts != all_frames) & ((counts != 0) | begins)

        def detail(at: int) -> str:
            expected = f"{all_frames}, as it begins an episode" if begins[at] else f"{all_frames} or none"
            return f"it has {counts[at]} earlier frames, expected {expected}"

        return not self._findings.add_where("ragged", node.earlier.ends, wrong, start, detail)

    def _graph(self, node: nodes.Graph, start: int, stop: int) -> np.ndarray | None:
        name = node.parts.name
        parts = self._columns.read(name, start, stop)
        if parts is None:
            return None
        wrong = (parts & ~np.uint8(_LINKS if node.edges is None else _ALL_PARTS)) != 0
        if self._findings.add_where("ragged", name, wrong, start, lambda at: f"a graph cannot have parts {parts[at]}"):
            return None
        lists = [each for each in (node.nodes, node.edges, node.links) if each is not None]
        return _sum([parts, *(self._lengths(each, start, stop) for each in lists)], stop - start)

    def _one_of(self, node: nodes.OneOf, start: int, stop: int, chosen: np.ndarray | None) -> np.ndarray | None:
        """Check that the chosen branch has one item, and every other branch none."""
        index = self._columns.read(node.index.name, start, stop)
        lengths = [self._lengths(branch, start, stop) for branch in node.branches]
        if index is None:
            return None
        wrong = (index < 0) | (index >= len(node.branches))
        for number, each in enumerate(lengths):
            if each is None:
                return None
            wrong |= each != (index == number)
        if chosen is not None:
            wrong &= chosen

        def detail(at: int) -> str:
            found = [int(each[at]) for each in lengths if each is not None]
            return f"branch {index[at]} of {len(found)} is chosen, the branches have {quote(found)} items"

        is_wrong = self._findings.add_where("ragged", node.index.name, wrong, start, detail)
        return None if is_wrong else _sum([index, *lengths], stop - start)

    def _lengths(self, node: nodes.ListOf, start: int, stop: int) -> np.ndarray | None:
        """Measure lists; None if their ends are wrong, or their items cannot be decoded."""
        ends = self._columns.read(node.ends, max(start - 1, 0), stop)
        if ends is None:
            return None
        if not start:
            ends = np.concatenate([np.zeros(1, ends.dtype), ends])
        rooms = [self._columns.length(each.name) for each in node.item.fields(node.ends) if each.parent == node.ends]
        room = min((each for each in rooms if each is not None), default=int(ends[0]) + _MAX_ITEMS_OF_NOTHING)

        def detail(at: int) -> str:
            return f"it ends at item {ends[at + 1]}, the one before it at {ends[at]}, and there are {room} items"

        wrong = (ends[1:] < ends[:-1]) | (ends[1:] > room)
        is_wrong = self._findings.add_where("ragged", node.ends, wrong, start, detail)
        return None if is_wrong or not self._items_fit(node.item, int(ends[0]), int(ends[-1])) else np.diff(ends)

    def _items_fit(self, item: nodes.Node, start: int, stop: int) -> bool:
        """Whether the items of some lists can be decoded; they may be ragged themselves."""
        if isinstance(item, (nodes.Array, nodes.Scalar)):
            return True
        blocks = range(start, stop, _BLOCK_ITEMS)
        return all(self.sizes(item, low, min(low + _BLOCK_ITEMS, stop)) is not None for low in blocks)


def _sum(sizes: list[np.ndarray | None], count: int) -> np.ndarray | None:
    """Add the sizes of parts; None if one of them is None."""
    total = np.zeros(count, np.int64)
    for each in sizes:
        if each is None:
            return None
        total += each
    return total
