"""The control groups of this process, in which a container's limits are written. Linux only; elsewhere there are none.

Source: the Linux kernel's documentation, admin-guide/cgroup-v1 and admin-guide/cgroup-v2.
"""

from __future__ import annotations

from pathlib import Path


def folders(controller: str, system: Path = Path("/")) -> list[Path]:
    """The folders of this process's groups that limit "cpu" or "memory", and of those above, whose limits bind too.

    system: the root of the file system. Of version 2 each limits everything; of version 1 there is a tree for each.
    """
    found = []
    for line in lines(system / "proc/self/cgroup"):
        if line.count(":") < 2:
            continue
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root = system / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            root = system / "sys/fs/cgroup" / controller
        else:
            continue
        group = root / path.strip("/")
        found += [group, *(parent for parent in group.parents if parent.is_relative_to(root))]
    return found


def lines(path: Path) -> list[str]:
    """The lines of a file of the system; none if it is not there or cannot be read."""
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def number(path: Path, after: str = "") -> int | None:
    """The whole number in a file, or in its line that begins with the word `after`; None if there is none."""
    for line in lines(path):
        words = line.split()
        if after and words[:1] == [after]:
            words = words[1:]
        elif after:
            continue
        if words and words[0].isascii() and words[0].isdecimal():
            return int(words[0])
    return None
