"""A short run of fuzz.py: its spoilt inputs end in a value or in one of createrec's own errors."""

import resource
import signal
from pathlib import Path

import fuzz
import pytest

from createrec.errors import DataError


@pytest.fixture
def limited() -> None:
    """fuzz.py sets an alarm; the test's own time limit comes back afterwards."""
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.signal(signal.SIGALRM, before)


def failures(targets: list[fuzz.Target]) -> list[str]:
    return [target.name for target in targets if target.failed]


def test_spoilt_inputs_end_in_a_value_or_an_error(tmp_path: Path, limited: None) -> None:
    targets = fuzz.fuzz(600, 1, tmp_path)
    assert not failures(targets)
    assert all(target.refused for target in targets if target.inputs > 50)


def test_the_fuzzer_notices_a_traceback_and_a_hang(tmp_path: Path, limited: None, monkeypatch, capsys) -> None:
    def broken(data: bytes) -> None:
        raise KeyError("what the reader forgot")

    def endless(data: bytes) -> None:
        while True:
            pass

    def refusing(data: bytes) -> None:
        raise DataError("line 1")

    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    signal.signal(signal.SIGALRM, fuzz.hang)
    chance = fuzz.random.Random(0)
    targets = [fuzz.Target(take.__name__, b"sound", take) for take in (broken, endless, refusing)]
    for target in targets:
        fuzz.strike(target, chance, tmp_path)
    assert failures(targets) == ["broken", "endless"]
    assert "no answer within" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 2


def test_aliases_cannot_make_a_short_file_endless(tmp_path: Path) -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    bomb = tmp_path / "bomb.yaml"
    bomb.write_text(f"l0: &l0 [1]\n{levels}")
    itself = tmp_path / "itself.yaml"
    itself.write_text("a: &a [*a]\n")
    for path in (bomb, itself):
        with pytest.raises(fuzz.CreaterecError, match=f"{path.name}: more than"):
            fuzz.read_yaml(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 8 << 20
