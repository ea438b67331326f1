"""The device a run uses, how it is set up, and how it is named in a record."""

import ctypes
import os
import platform
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from createrec.errors import ConfigError, TrainingError

# glibc's mallopt names: keep big temporaries on the heap instead of mapping and unmapping them at each step.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEEP_BYTES = 1 << 30

# What torch says, in a plain RuntimeError, where memory is refused to the CPU or to a library on the card.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def keep_big_blocks() -> None:
    """Tells glibc to reuse big blocks: page faults of fresh ones cost a CPU step several times its arithmetic."""
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)


def choose_device(name: str = "auto") -> torch.device:
    """`cpu`, `cuda` or `cuda:N`; `auto` takes the visible card with the most free memory, else the CPU.

    Raises:
        ConfigError: the device does not exist here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ConfigError(f"device '{name}': expected auto, cpu, cuda or cuda:N")
    device, cards = torch.device(name), torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= cards:
        visible = f"cards 0 to {cards - 1} are visible here" if cards else "no CUDA card is visible here"
        raise ConfigError(f"device '{name}': {visible}; name another one, or cpu")
    try:
        if device.type == "cuda" and device.index is None:
            # torch.device says that an index is always there; that of `cuda` alone is None.
            free = [torch.cuda.mem_get_info(index)[0] for index in range(cards)]  # type: ignore[unreachable]
            device = torch.device("cuda", free.index(max(free)))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device '{name}' cannot be used here: {str(error).splitlines()[0]}") from None
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.set_float32_matmul_precision("high")  # TF32 products
    else:
        keep_big_blocks()
    return device


def describe(device: torch.device) -> str:
    """A name for people: the card, or the processor and the number of threads."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
        model = names[0] if names else model
    return f"cpu: {model}, {torch.get_num_threads()} of {os.cpu_count()} threads"


@contextmanager
def memory_explained(device: torch.device, advice: str) -> Iterator[None]:
    """Turns a lack of memory inside the block into an error that says what to do.

    Raises:
        TrainingError: memory ran out, on the card or on the CPU.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        message = str(error) or "no memory left"
        plain = not isinstance(error, MemoryError | torch.OutOfMemoryError)
        if plain and not any(sign in message for sign in _OUT_OF_MEMORY):
            raise
        raise TrainingError(f"out of memory on {device}: {advice}. {message.splitlines()[0]}") from None


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: of the card where there is one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
