"""How fast gzip chunks of a recording are inflated by the decoders that Python has.

    pip install isal zlib-ng deflate cramjam imagecodecs && python scripts/bench_decoders.py run.h5 observations

Reads chunks of one dataset and inflates each with every decoder that is installed, in turn, into an array that exists.
Prints microseconds a chunk, the median over rounds, of one thread and of two.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Decoder = Callable[[bytes, np.ndarray], None]


def decoders() -> dict[str, Decoder]:
    """The decoders that are installed; each fills an array of bytes."""

    def bounded(module: Any) -> Decoder:
        def decode(data: bytes, out: np.ndarray) -> None:  # as the package does: a bomb is not inflated
            out[:] = np.frombuffer(module.decompressobj().decompress(data, len(out) + 1), np.uint8)

        return decode

    def deflate(module: Any) -> Decoder:
        def decode(data: bytes, out: np.ndarray) -> None:
            out[:] = np.frombuffer(module.zlib_decompress(data, len(out)), np.uint8)

        return decode

    makers: dict[str, tuple[str, Callable[[Any], Decoder]]] = {
        "zlib": ("zlib", bounded),
        "isal": ("isal.isal_zlib", bounded),
        "zlib-ng": ("zlib_ng.zlib_ng", bounded),
        "deflate (libdeflate)": ("deflate", deflate),
        "cramjam": ("cramjam", lambda module: module.zlib.decompress_into),
        "imagecodecs (libdeflate)": (
            "imagecodecs",
            lambda module: lambda data, out: module.deflate_decode(data, out=out),
        ),
        "imagecodecs (zlib-ng)": ("imagecodecs", lambda module: lambda data, out: module.zlibng_decode(data, out=out)),
    }
    found = {}
    for name, (module, make) in makers.items():
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            print(f"{name} is not installed")
        else:
            found[name] = make(importlib.import_module(module))
    return found


def read_chunks(path: Path, name: str, most: int) -> tuple[list[bytes], int]:
    """Compressed chunks of a dataset, and the bytes of one in memory."""
    with h5py.File(path) as file:
        dataset = file[name]
        firsts = range(0, len(dataset), dataset.chunks[0])[:most]
        behind = (0,) * (dataset.ndim - 1)
        size = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
        return [bytes(dataset.id.read_direct_chunk((first, *behind))[1]) for first in firsts], size


def run(decode: Decoder, chunks: list[bytes], size: int, num_threads: int) -> float:
    """Microseconds a chunk."""

    def work(some: list[bytes]) -> None:
        out = np.empty(size, np.uint8)
        for chunk in some:
            decode(chunk, out)

    threads = [threading.Thread(target=work, args=(chunks[at::num_threads],)) for at in range(num_threads)]
    start_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - start_s) / len(chunks) * 1e6


def main() -> None:
    """Print a line for each decoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, help="a recording whose chunks are compressed with gzip alone")
    parser.add_argument("dataset")
    parser.add_argument("--chunks", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    chunks, size = read_chunks(arguments.path, arguments.dataset, arguments.chunks)
    print(f"{len(chunks)} chunks of {size} bytes, {statistics.mean(map(len, chunks)):.0f} in the file")
    found = decoders()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for _ in range(arguments.rounds):
        for name, decode in found.items():
            taken[name].append((run(decode, chunks, size, 1), run(decode, chunks, size, 2)))
    for name, pairs in taken.items():
        one, two = (statistics.median(each) for each in zip(*pairs, strict=True))
        print(f"{name:26} one thread {one:7.1f}   two {two:7.1f}")


if __name__ == "__main__":
    main()
