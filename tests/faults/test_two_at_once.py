"""Two processes started at once on the same folder: one result, whole, and never a mixture."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import made
import pytest
from drills import Survival, differences, snapshot

from createrec.errors import StorageError
from createrec.files import atomic_path, locked

RUN = made.run_of("create", fold="test")
COMMANDS = made.commands(RUN)
BUSY = "another process is training or evaluating this run"
AT_ONCE = 3


@pytest.mark.parametrize("command", COMMANDS)
def test_several_at_once(drill, children, table, command: str) -> None:
    """Trainings and evaluations refuse to share a run; everything else takes turns."""
    exercise = drill(command, COMMANDS[command])
    expected, _ = exercise.undisturbed()
    exercise._fresh()
    outcomes = children.run_copies(*COMMANDS[command], cwd=exercise.folder, copies=AT_ONCE)
    done = [outcome for outcome in outcomes if outcome.status == 0]
    for outcome in outcomes:
        assert outcome.status == 0 or BUSY in outcome.printed, outcome.printed
    assert done
    if command in ("prepare", "split", "collect"):
        assert len(done) == AT_ONCE, "these have no reason to refuse"
    found = snapshot(exercise.folder)
    wrong = [f"{differences(found, expected)}"] if found != expected else []
    table(f"{AT_ONCE} processes at once in one folder", Survival(1, 1 - len(wrong), [done[0].seconds], 0.0, wrong))


def test_a_busy_run_is_explained(drill) -> None:
    exercise = drill("train", COMMANDS["train"])
    exercise._fresh()
    before = snapshot(exercise.folder)
    run = exercise.folder / "results" / "run"
    run.mkdir()
    with locked(run / ".lock"):
        outcome = exercise._run()
    assert outcome.status == 1 and f"results/run: {BUSY}" in outcome.printed, outcome.printed
    assert not differences(snapshot(exercise.folder), before)
    assert exercise._run().status == 0


def test_a_lock_left_by_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    with locked(tmp_path / ".lock", "busy"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    """Holders remove the lock file, so those who wait must notice that theirs is a lock on nothing."""
    inside, most = 0, 0

    def hold(_: int) -> None:
        nonlocal inside, most
        for _ in range(30):
            with locked(tmp_path / ".lock"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0003)
                inside -= 1

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(hold, range(6)))
    assert most == 1
    with locked(tmp_path / ".lock"), pytest.raises(StorageError, match="busy"), locked(tmp_path / ".lock", "busy"):
        pass


def test_two_writers_of_one_file_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"

    def write(letter: str) -> None:
        for _ in range(30):
            with atomic_path(path) as temporary, temporary.open("w") as file:
                for _ in range(20):
                    file.write(letter)
                    file.flush()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, "abcd"))
    assert path.read_text() in {letter * 20 for letter in "abcd"}
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_what_a_killed_writer_left_is_overwritten(tmp_path: Path) -> None:
    left = tmp_path / ".file.txt.part.txt"
    left.write_text("half of something much longer")
    with atomic_path(tmp_path / "file.txt") as temporary:
        assert temporary == left
        with temporary.open("r+") as file:
            file.write("whole")
    assert (tmp_path / "file.txt").read_text() == "whole"
    assert not left.exists()
