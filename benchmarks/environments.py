"""The peers' environments: one a peer, made on first use under `.bench/`, with the same torch as ours."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from createrec.errors import CreaterecError

HERE = Path(__file__).parent
SCRATCH = HERE.parent / ".bench"
# glibc keeps big blocks instead of giving them back after each step, as `training/device.py` asks for in ours.
TUNED_MALLOC = {
    "GLIBC_TUNABLES": f"glibc.malloc.mmap_threshold={1 << 30}:glibc.malloc.trim_threshold={1 << 34}",
}


class BenchmarkError(CreaterecError):
    """A measurement or an environment could not be had."""


@dataclass(frozen=True)
class Peer:
    """A library to compare with: its script and requirements stand in `benchmarks/peers/`.

    Attributes:
        name: as it stands in tables.
        measurements: the quantities that its script measures.
        part_of: key of the peer in whose environment it is; None = it has its own.
    """

    name: str
    measurements: tuple[str, ...]
    part_of: str | None = None

    @property
    def key(self) -> str:
        return self.name.lower()

    @property
    def script(self) -> Path:
        return HERE / "peers" / f"{self.key}_.py"


PEERS = (
    Peer("RecBole", ("sasrec", "lightgcn", "ranking")),
    Peer("RecTools", ("sasrec", "ranking")),
    Peer("FlatSASRecNet", ("sasrec",), part_of="rectools"),
)


def python_of(peer: Peer) -> Path:
    """The interpreter of a peer's environment, which is made where it is missing or out of date.

    Raises:
        BenchmarkError: pip could not install the peer.
    """
    environment = peer.part_of or peer.key
    folder = SCRATCH / environment
    requirements = HERE / "peers" / f"{environment}.txt"
    release = torch.__version__.partition("+")[0]
    wanted = hashlib.sha256(f"{release} {sys.version} {requirements.read_text()}".encode()).hexdigest()
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and ready.read_text() == wanted:
        return python
    print(f"Installing {environment} into {folder} (minutes, once)", flush=True)
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"torch=={release}"]
    # torch first: the peers name ranges of it, and pip would look further than the build that is here.
    for command in ([sys.executable, "-m", "venv", folder], install, [*install, "--requirement", requirements]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise BenchmarkError(f"{peer.name}: {last[0]}; see {requirements}, or leave the peer out with --peers")
    ready.write_text(wanted)
    return python
