"""How much of the machine others took while something was timed: where that is not little, figures mislead."""

from __future__ import annotations

import os
import time
from pathlib import Path


class Busy:
    """Begins to count. Where the system does not say (/proc/stat), others() is not a number."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), self._state()

    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def others(self) -> float:
        """Cores that processes other than this one and its children used on average, a hypervisor's theft included."""
        every, own = (now - then for now, then in zip(self._state(), self._before, strict=True))
        return max(0.0, every - own) / max(self.seconds(), 1e-9) if every == every else every

    @staticmethod
    def _state() -> tuple[float, float]:
        """Seconds that all cores have worked, and that this process and its children have."""
        times = os.times()
        own = times.user + times.system + times.children_user + times.children_system
        try:
            fields = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        except (OSError, ValueError):
            return float("nan"), own
        user, nice, system, _, _, irq, softirq, steal = fields
        return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), own
