"""Regenerates the hash-locked requirement files from the `.in` files (make lock).

torch comes in two builds. The one on the public index is the CUDA build and needs some 3 GB of
CUDA libraries; the CPU build has an index of its own and needs none of them. So torch and what
only it needs stand in `torch-cuda.lock` and `torch-cpu.lock`, everything else in
`requirements.lock`, and `make install` takes one of the two.
"""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CUDA_ONLY = re.compile(r"^(torch==|nvidia-|cuda-|triton==)")
# The CPU build of the pinned torch for Python 3.11 on x86-64 Linux.
CPU_WHEEL = "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"


def compile_lock(source: str, target: str) -> list[str]:
    """Resolves one `.in` file for every Python from 3.11 on; returns one string per requirement."""
    command = ["uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes",
               "--no-header", "--no-annotate", "-q", source, "-o", target]  # fmt: skip
    subprocess.run(command, cwd=HERE, check=True)
    return re.split(r"\n(?=[a-z])", (HERE / target).read_text().strip())


def write(target: str, blocks: list[str]) -> None:
    (HERE / target).write_text("# Made by envs/lock.py from the .in files: do not edit.\n" + "\n".join(blocks) + "\n")


def main() -> None:
    blocks = compile_lock("requirements.in", "requirements.lock")
    torch = next(block for block in blocks if block.startswith("torch=="))
    write("requirements.lock", [block for block in blocks if not CUDA_ONLY.match(block)])
    write("torch-cuda.lock", [block for block in blocks if CUDA_ONLY.match(block)])
    write("torch-cpu.lock", [f"{torch.split()[0]}+cpu --hash=sha256:{CPU_WHEEL}"])
    pinned = {block.split("==")[0] for block in blocks}
    dev = compile_lock("requirements-dev.in", "requirements-dev.lock")
    write("requirements-dev.lock", [block for block in dev if block.split("==")[0] not in pinned])


if __name__ == "__main__":
    main()
