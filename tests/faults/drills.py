"""Commands that are killed: a small server of child processes, and folders that are compared.

Importing torch takes seconds, dying takes a millisecond. So one process imports everything, with one thread, and forks
a child for each command: `Children`. A child can be killed after a time, or at its n-th operation on a file, which
reaches every place where a half-finished state can be left.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

# What differs between two runs that are the same: times, and what the process happened to need.
MEASURED = {"seconds", "created", "peak_memory_bytes"}
# Operations that a child can be killed at: the audit events that Python raises before it does them.
OPERATIONS = {"os.rename", "os.remove", "os.mkdir", "os.truncate", "fcntl.flock"}
TIMEOUT = 240.0


@dataclass(frozen=True)
class Outcome:
    """How a command ended: exit status (negative: the signal), what it printed, and the seconds it took."""

    status: int
    printed: str
    seconds: float

    @property
    def killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Children:
    """Forks a process for each command from one that has imported everything."""

    def __init__(self) -> None:
        inherited = {name: value for name, value in os.environ.items() if name != "CREATEREC_MIRROR"}
        environment = inherited | {"OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"}
        self.server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def run(self, *arguments: str | Path, cwd: Path, **how: Any) -> Outcome:
        """Runs `createrec` with these arguments.

        Args:
            cwd: its working directory.
            how: kill_after (seconds), kill_at (the number of the operation, from 1), only (count these operations
                alone), file_limit (bytes a file), memory_limit (bytes), copies (run as many at once).
        """
        return self.run_copies(*arguments, cwd=cwd, **how)[0]

    def run_copies(self, *arguments: str | Path, cwd: Path, copies: int = 1, **how: Any) -> list[Outcome]:
        """Runs the same command several times at once."""
        request = {"arguments": [str(part) for part in arguments], "cwd": str(cwd), "copies": copies, **how}
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return [Outcome(**answer) for answer in json.loads(self.server.stdout.readline())]

    def close(self) -> None:
        self.server.stdin.close()
        self.server.wait()


# --- the server ---------------------------------------------------------------------------------------------------


def _serve() -> None:
    _import_everything()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    for line in sys.stdin:
        request = json.loads(line)
        logs = [Path(request["cwd"]).with_suffix(f".printed{copy}") for copy in range(request.pop("copies"))]
        children = {_fork(request, log): log for log in logs}
        print(json.dumps(_wait(children, request.get("kill_after"))), flush=True)


def _import_everything() -> None:
    """Imports what the commands import late, and fixes the code's version: others may be at work on the files."""
    import pandas  # noqa: F401 (pyarrow imports it where it is at hand)
    import pyarrow.dataset
    import pyarrow.pandas_compat
    import pyarrow.parquet  # noqa: F401
    import scipy.sparse.linalg  # noqa: F401
    import torch

    import createrec.cli
    import createrec.runs.recommend
    import createrec.runs.record
    import createrec.tuning.study
    from createrec.kinds import CATALOGUE

    torch.set_num_threads(1)
    createrec.cli.parser()
    for kind in CATALOGUE.values():
        if kind.code is not None:
            kind.load()


def _fork(request: Mapping[str, Any], log: Path) -> int:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    pid = os.fork()
    if pid:
        os.close(handle)
        return pid
    status = 70
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.chdir(request["cwd"])
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        for limit, kind in (("file_limit", resource.RLIMIT_FSIZE), ("memory_limit", resource.RLIMIT_AS)):
            if request.get(limit):
                resource.setrlimit(kind, (request[limit], request[limit]))
        if request.get("kill_at"):
            _die_at(request["kill_at"], set(request.get("only", OPERATIONS)))
        from createrec.cli import main

        status = main(request["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(status)


def _die_at(number: int, operations: set[str]) -> None:
    """Kills this process just before its n-th operation on files."""
    left = number

    def count(event: str, _: tuple) -> None:
        nonlocal left
        if event in operations:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def _wait(children: Mapping[int, Path], kill_after: float | None) -> list[dict[str, Any]]:
    started = time.monotonic()
    answers, left = {}, set(children)
    while left:
        deadline = TIMEOUT if kill_after is None else kill_after
        if signal.sigtimedwait({signal.SIGCHLD}, max(0.0, started + deadline - time.monotonic())) is None:
            for pid in left:
                os.kill(pid, signal.SIGKILL)  # not yet waited for, so the number is still this child's
        for pid in list(left):
            done, status = os.waitpid(pid, 0 if time.monotonic() - started > deadline else os.WNOHANG)
            if done:
                left.remove(pid)
                printed = children[pid].read_text(encoding="utf-8", errors="replace")
                children[pid].unlink()
                seconds = time.monotonic() - started
                answers[pid] = {"status": os.waitstatus_to_exitcode(status), "printed": printed, "seconds": seconds}
    return [answers[pid] for pid in children]


# --- what is compared ---------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, Any]:
    """Every file below a folder, hidden ones too, by relative path: bytes, or JSON without what is measured."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if not path.is_dir()}


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return _without_measured(json.loads(path.read_text(encoding="utf-8")))
    if path.name == "metrics.csv":  # its column of training times
        lines = (line.split(",") for line in path.read_text(encoding="utf-8").splitlines())
        return [line[:-2] + line[-1:] for line in lines]
    return path.read_bytes()


def _without_measured(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_measured(part) for key, part in value.items() if key not in MEASURED}
    return [_without_measured(part) for part in value] if isinstance(value, list) else value


def differences(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """Names of files that are missing, left over, or differ."""
    return sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))


# --- the drill ----------------------------------------------------------------------------------------------------


@dataclass
class Survival:
    """What a fault did: how often it struck, how often the results were identical, how long recovery took."""

    tried: int = 0
    survived: int = 0
    seconds: list[float] = field(default_factory=list)
    undisturbed: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Survival") -> None:
        self.tried += other.tried
        self.survived += other.survived
        self.seconds += other.seconds
        self.undisturbed = max(self.undisturbed, other.undisturbed)
        self.wrong += other.wrong

    @property
    def recovery(self) -> str:
        if not self.seconds:
            return ""
        return f"{statistics.median(self.seconds):.2f} s (at most {max(self.seconds):.2f} s)"


@dataclass(frozen=True)
class Drill:
    """A command over a folder, and what the folder holds when nothing goes wrong."""

    children: Children
    arguments: Sequence[str]
    start: Callable[[Path], None]
    folder: Path

    def undisturbed(self) -> tuple[dict[str, Any], float]:
        outcome = self._fresh_and_run()
        assert outcome.status == 0, outcome.printed
        return snapshot(self.folder), outcome.seconds

    def at_random(self, kills: int, chance: np.random.Generator, in_a_row: int = 4) -> Survival:
        """Kills at random moments, up to `in_a_row` times before the command may end."""
        expected, usual = self.undisturbed()
        survival = Survival(undisturbed=usual)
        while survival.tried < kills:
            self._fresh()
            killed = 0
            outcome = self._run(kill_after=float(chance.uniform(0, usual)))
            while outcome.killed:
                killed += 1
                more = killed < min(in_a_row, kills - survival.tried)
                outcome = self._run(**({"kill_after": float(chance.uniform(0, usual))} if more else {}))
            if killed:
                self._compare(survival, killed, outcome, expected)
            else:
                assert outcome.status == 0, outcome.printed
        return survival

    def at_each_operation(self, only: Sequence[str] = tuple(OPERATIONS)) -> Survival:
        """Kills once at each operation on a file that the command makes, one after the other."""
        expected, usual = self.undisturbed()
        survival = Survival(undisturbed=usual)
        while True:
            self._fresh()
            outcome = self._run(kill_at=survival.tried + 1, only=list(only))
            if not outcome.killed:
                assert outcome.status == 0, outcome.printed
                return survival
            self._compare(survival, 1, self._run(), expected)

    def _compare(self, survival: Survival, killed: int, outcome: Outcome, expected: Mapping[str, Any]) -> None:
        """Counts the kills before `outcome`, the run that ended; nothing may have run after it."""
        found = snapshot(self.folder)
        survival.tried += killed
        survival.seconds.append(outcome.seconds)
        if outcome.status == 0 and found == expected:
            survival.survived += killed
        else:
            survival.wrong.append(f"{differences(found, expected)} {outcome.printed}")

    def _fresh(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.start(self.folder)

    def _run(self, **how: Any) -> Outcome:
        return self.children.run(*self.arguments, cwd=self.folder, **how)

    def _fresh_and_run(self) -> Outcome:
        self._fresh()
        return self._run()


if __name__ == "__main__":
    _serve()
