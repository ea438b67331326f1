"""Which code made a result: the package's version and a hash of the sources that decide numbers."""

import hashlib
from functools import cache
from pathlib import Path

from createrec import __version__

# Rendering, searching and printing decide no number of a run.
DECIDING = ("data", "models", "losses", "training", "evaluation", "config.py", "plan.py", "randomness.py")


@cache
def code_version() -> str:
    """For instance 0.1.0+3f2a9c0d1e4b; the same for the same sources, with or without git."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for name in DECIDING:
        part = root / name
        for file in sorted(part.rglob("*.py")) if part.is_dir() else [part]:
            digest.update(file.relative_to(root).as_posix().encode())
            digest.update(file.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"
