"""`createrec COMMAND`: what the rules call, and a person too."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from createrec import __version__
from createrec.errors import CreaterecError
from createrec.options import Commands

AREAS = ("data", "runs", "tuning", "paper", "doctor")


def parser() -> argparse.ArgumentParser:
    """The whole command line; each area registers its own commands."""
    root = Commands(prog="createrec", description="CREATE (arXiv 2602.23471), reproduced")
    root.add_argument("--version", action="version", version=f"createrec {__version__}")
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    for area in AREAS:
        importlib.import_module(f"createrec.{area}.commands").register(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; errors meant for people are one line, and exit status 2 (refused) or 1 (failed)."""
    # Threads that spin while others hold the cores are ruinous; must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal in another encoding shows a name as escapes, and no error
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options.run(options)
    except CreaterecError as error:
        print(f"createrec: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.status
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:  # the full disk and the closed folder; files have their own messages in createrec.files
        where = f"{error.filename}: " if error.filename else ""
        print(
            f"createrec: error: {where}{error.strerror or error}; correct this, then run the same command again",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("createrec: interrupted; the same command continues from the last checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
