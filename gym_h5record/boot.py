"""Has the machine been restarted since?"""

from __future__ import annotations

from pathlib import Path

__all__ = ["boot_id"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """A text that is another one after every start of the machine; empty where there is none to be had."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
