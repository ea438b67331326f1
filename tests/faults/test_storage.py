"""Full disks and folders that cannot be written: our message, nothing half-written, and a rerun that succeeds."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import made
import pytest
from drills import Survival, differences, snapshot

RUN = made.run_of("create", fold="test")
COMMANDS = made.commands(RUN)
SOME_NOW = [
    pytest.param(command, marks=[] if command in ("split", "train") else pytest.mark.slow) for command in COMMANDS
]
# Names of a file being written, hidden beside its place: none may stay.
LEFTOVER = re.compile(r"\..*\.part.*|\..*\.lock|.*\.tmp.*")
MESSAGE = re.compile(r"createrec: error: .*(No space left on device|File too large)")


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mounts a file system at `folder`; skips the test where that is not allowed."""
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if LEFTOVER.fullmatch(path.name)]


def tried(same: bool, outcome, found, expected) -> Survival:
    wrong = [] if same else [f"{differences(found, expected)} {outcome.printed}"]
    return Survival(1, int(same), [outcome.seconds], 0.0, wrong)


@pytest.mark.parametrize("command", SOME_NOW)
def test_a_file_that_may_not_grow(drill, table, command: str) -> None:
    """A limit of bytes a file, which every machine has: the write ends in the middle. The message still fits."""
    exercise = drill(command, COMMANDS[command])
    expected, _ = exercise.undisturbed()
    exercise._fresh()
    before = snapshot(exercise.folder)
    outcome = exercise._run(file_limit=300)
    assert outcome.status == 1 and MESSAGE.search(outcome.printed), outcome.printed
    assert "Traceback" not in outcome.printed
    assert not leftovers(exercise.folder)
    assert not differences(snapshot(exercise.folder), before)
    again = exercise._run()
    found = snapshot(exercise.folder)
    table("disk full: a limit of bytes a file", tried(found == expected, again, found, expected))


@pytest.mark.parametrize("command", SOME_NOW)
def test_a_full_disk(children, stages, tmp_path: Path, table, command: str) -> None:
    """A small disk of its own, filled but for a few kilobytes."""
    disk, whole = tmp_path / "disk", tmp_path / "whole"
    disk.mkdir()
    shutil.copytree(stages[command], whole)
    assert children.run(*COMMANDS[command], cwd=whole).status == 0
    expected = snapshot(whole)
    with mounted(disk, "-t", "tmpfs", "-o", "size=2m", "tmpfs"):
        shutil.copytree(stages[command], disk, dirs_exist_ok=True)
        before = snapshot(disk)
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        outcome = children.run(*COMMANDS[command], cwd=disk)
        assert outcome.status == 1 and MESSAGE.search(outcome.printed), outcome.printed
        assert "Traceback" not in outcome.printed
        assert not leftovers(disk)
        filler.unlink()
        assert not differences(snapshot(disk), before)
        again = children.run(*COMMANDS[command], cwd=disk)
        found = snapshot(disk)
    table("disk full: a small disk", tried(found == expected, again, found, expected))


@pytest.fixture(params=["mount", "rights"])
def closed(request) -> Callable[[Path], object]:
    """Makes a folder unwritable for a while: by a read-only mount, or by its rights (which do not bind root)."""
    if request.param == "mount":
        return lambda folder: mounted(folder, "-o", "bind,ro", str(folder))
    if os.geteuid() == 0:
        pytest.skip("rights do not bind root")

    @contextmanager
    def without_rights(folder: Path) -> Iterator[None]:
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            yield
        finally:
            for path in folders:
                path.chmod(0o755)

    return without_rights


@pytest.mark.parametrize("command", SOME_NOW)
def test_a_folder_that_cannot_be_written(drill, table, closed, command: str) -> None:
    exercise = drill(command, COMMANDS[command])
    expected, _ = exercise.undisturbed()
    exercise._fresh()
    before = snapshot(exercise.folder)
    (exercise.folder / "results").mkdir(exist_ok=True)
    with closed(exercise.folder / "results"):
        outcome = exercise._run()
    assert outcome.status == 1, outcome.printed
    assert re.search(r"createrec: error: results/.*(Read-only file system|Permission denied)", outcome.printed)
    assert "Traceback" not in outcome.printed
    assert not differences(snapshot(exercise.folder), before)
    again = exercise._run()
    found = snapshot(exercise.folder)
    table("results folder cannot be written", tried(found == expected, again, found, expected))
