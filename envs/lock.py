"""Regenerates the hash-locked requirement files from the `.in` files (make lock).

torch comes in two builds. The one on the public index is the CUDA build on Linux and needs some 3 GB
of CUDA libraries; the CPU build has an index of its own and needs none of them. So torch and what
only it needs stand in `torch-cuda.lock` and `torch-cpu.lock`, everything else in
`requirements.lock`, and `make install` takes one of the two.
"""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
CUDA_ONLY = re.compile(r"^(torch==|nvidia-|cuda-|triton==)")
# The CPU builds of the pinned torch for Linux, as https://download.pytorch.org/whl/cpu/torch/ lists them. A new version
# needs all eight anew. On macOS the public index has the CPU build.
CPU_WHEELS = {
    "cp311-manylinux_2_28_x86_64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "cp312-manylinux_2_28_x86_64": "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
    "cp313-manylinux_2_28_x86_64": "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
    "cp314-manylinux_2_28_x86_64": "d20fa53ee744502fa4c69818a720b05ca0d37abd055d4f6e66cae155114bc691",
    "cp311-manylinux_2_28_aarch64": "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
    "cp312-manylinux_2_28_aarch64": "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
    "cp313-manylinux_2_28_aarch64": "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
    "cp314-manylinux_2_28_aarch64": "ca021f9eb2f8345c83fa03e3a04587308afb8df71bd472670b3ece00df58621c",
}


def compile_lock(source: str, target: str) -> list[str]:
    """Resolves one `.in` file for every Python from 3.11 on; returns one string per requirement."""
    command = ["uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes",
               "--no-header", "--no-annotate", "-q", source, "-o", target]  # fmt: skip
    subprocess.run(command, cwd=HERE, check=True)
    return re.split(r"\n(?=[a-z])", (HERE / target).read_text().strip())


def write(target: str, blocks: list[str]) -> None:
    (HERE / target).write_text("# Made by envs/lock.py from the .in files: do not edit.\n" + "\n".join(blocks) + "\n")


def cpu_torch(torch: str) -> list[str]:
    """The CPU build's requirements: Linux with the hashes above, macOS with those of the public index."""
    pin, *hashes = torch.split(" \\\n")
    linux = " \\\n    ".join(f"--hash=sha256:{digest}" for digest in CPU_WHEELS.values())
    return [
        f"{pin}+cpu ; sys_platform == 'linux' \\\n    {linux}",
        " \\\n".join([f"{pin} ; sys_platform != 'linux'", *hashes]),
    ]


def main() -> None:
    blocks = compile_lock("requirements.in", "requirements.lock")
    torch = next(block for block in blocks if block.startswith("torch=="))
    write("requirements.lock", [block for block in blocks if not CUDA_ONLY.match(block)])
    write("torch-cuda.lock", [block for block in blocks if CUDA_ONLY.match(block)])
    write("torch-cpu.lock", cpu_torch(torch))
    pinned = {block.split("==")[0] for block in blocks}
    dev = compile_lock("requirements-dev.in", "requirements-dev.lock")
    write("requirements-dev.lock", [block for block in dev if block.split("==")[0] not in pinned])


if __name__ == "__main__":
    main()
