"""Which code made a result: the package's version and a hash of the sources that decide numbers."""

import hashlib
from functools import cache
from pathlib import Path

from createrec import __version__

# Rendering, searching and printing decide no number of a run.
DECIDING = (
    *("readers", "data", "models", "losses", "ops", "training", "evaluation", "runs"),
    *("config.py", "plan.py", "randomness.py"),
)
# What decides the rows of a prepared dataset, and where they are cut.
PREPARING = ("readers", *(f"data/{name}.py" for name in ("prepare", "filters", "account", "times", "interactions")))
SPLITTING = ("data/split.py", "data/interactions.py")


@cache
def sources_hash(names: tuple[str, ...]) -> str:
    """12 hex digits over the bytes of source files, and of all those below folders, from the package's folder on."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for name in names:
        part = root / name
        for file in sorted(part.rglob("*.py")) if part.is_dir() else [part]:
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def code_version() -> str:
    """For instance 0.1.0+3f2a9c0d1e4b; the same for the same sources, with or without git."""
    return f"{__version__}+{sources_hash(DECIDING)}"
