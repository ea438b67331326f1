"""How work, time and memory are counted, with the standard library alone: peers import it in their environments."""

import time
from pathlib import Path

# A measurement ends after this many times its budget by the clock on the wall, whatever share of a core it got.
PATIENCE = 3.0


class Stopwatch:
    """Counts work after some steps that do not count, until a budget of core-seconds is spent.

    Core-seconds are those of the whole process over all its threads, which is what stays comparable when other
    programs share the machine.
    """

    def __init__(self, seconds: float, warmup: int = 2, patience: float = PATIENCE) -> None:
        self.seconds, self.warmup, self.patience = seconds, warmup, patience
        self.work = self.core = self.wall = 0.0
        self.begun = time.perf_counter()
        self.restart()

    def restart(self) -> None:
        """What happened since the last lap does not count."""
        self._core, self._wall = time.process_time(), time.perf_counter()

    def lap(self, work: float) -> bool:
        """Counts a step that did so much work. Returns True when the budget is spent."""
        core, wall = time.process_time(), time.perf_counter()
        if self.warmup:
            self.warmup -= 1
        else:
            self.work += work
            self.core += core - self._core
            self.wall += wall - self._wall
        self.restart()
        late = time.perf_counter() - self.begun > self.patience * self.seconds
        return self.work > 0 and (self.core >= self.seconds or late)

    def result(self) -> dict[str, float]:
        """Work per core-second, and per second of wall; the peak memory of the process."""
        return {
            "rate": self.work / self.core,
            "rate_wall": self.work / self.wall,
            "core_seconds": self.core,
            "peak_memory_bytes": peak_bytes(),
        }


def peak_bytes() -> int:
    """Most memory that this process has held, from the kernel's own count.

    Not `getrusage`, whose peak begins with that of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM: peak memory is only measured on Linux")
