"""Snakemake in a process of its own, forked from one that has imported it: importing takes longer than most plans."""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class Forks:
    """Starts a process for each command line of Snakemake's.

    Args:
        folder: where what the processes print is kept until it is read.
    """

    def __init__(self, folder: Path) -> None:
        self.printed = folder / "stdout", folder / "stderr"
        command = [sys.executable, __file__, *map(str, self.printed)]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(
        self, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Runs `snakemake` with these arguments to its end.

        Raises:
            TimeoutExpired: it took longer than that many seconds, and was killed.
        """
        request = {"arguments": list(arguments), "cwd": str(cwd), "environment": dict(environment), "timeout": timeout}
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        status = json.loads(self.server.stdout.readline())
        if status is None:
            raise subprocess.TimeoutExpired(["snakemake", *arguments], timeout)
        printed = (path.read_text(encoding="utf-8") for path in self.printed)
        return subprocess.CompletedProcess(["snakemake", *arguments], status, *printed)

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait()


# --- the process that has imported it ---------------------------------------------------------------------------------


def serve() -> int:
    """Forks for each request, and answers with the exit status; in a fork, does what was asked for."""
    # What Snakemake, its plugins and this workflow's rules import; nothing of it has run.
    import smart_open  # noqa: F401
    import snakemake.cli
    import snakemake.dag
    import snakemake.executors.dryrun
    import snakemake.executors.local
    import snakemake.scheduling.job_scheduler
    import snakemake.workflow
    import yte  # noqa: F401

    import createrec.exhibits
    import createrec.matching
    import createrec.plan
    import createrec.provenance
    import createrec.tuning.space  # noqa: F401

    snakemake.cli.get_argument_parser()
    gc.freeze()  # so that no fork walks through what was imported, in search of what it may free
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(request)
            sys.argv = ["snakemake", *request["arguments"]]
            return snakemake.cli.main(request["arguments"])
        print(json.dumps(_wait(pid, request["timeout"])), flush=True)
    return 0


def _become(request: Mapping) -> None:
    """Makes this process as one that was started by `python -m snakemake`."""
    for handle, path in enumerate((os.devnull, *sys.argv[1:])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, handle)
        os.close(opened)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[0] = request["cwd"]


def _wait(pid: int, timeout: float) -> int | None:
    """The exit status; None where the process was killed for its time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    sys.exit(serve())
