"""Mutated inputs: every reader, the configuration, and the files that one command leaves for the next.

    python tests/faults/fuzz.py --inputs 100000

Whatever the bytes are, they end in a value or in one of createrec's own errors: no other exception, no hang, no memory
without bound. `--inputs` counts those of the readers; the configuration and the results' files get a tenth each. An
input that fails is kept in the working folder, and the exit status is 1.
"""

import argparse
import contextlib
import io
import json
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "readers"))

import made  # noqa: E402
import torch  # noqa: E402
from test_readers import asked, mutated, valid_files  # noqa: E402

from createrec.cli import main as createrec  # noqa: E402
from createrec.config import (  # noqa: E402
    DatasetConfig,
    FileConfig,
    ModelSettings,
    ProjectConfig,
    TemporalSetup,
    merge,
    read_yaml,
    validate,
)
from createrec.data.datasets import write_split  # noqa: E402
from createrec.data.interactions import Interactions  # noqa: E402
from createrec.data.split import Split  # noqa: E402
from createrec.errors import CreaterecError  # noqa: E402
from createrec.matching import Preparations  # noqa: E402
from createrec.options import json_option  # noqa: E402
from createrec.plan import plan  # noqa: E402
from createrec.readers.catalogue import read  # noqa: E402
from createrec.runs.collect import collect  # noqa: E402
from createrec.runs.recommend import Question, TrainedRun  # noqa: E402
from createrec.runs.run import (  # noqa: E402
    CHECKPOINT,
    build_run,
    load_trained,
    model_settings,
    run_of_slice,
    train_run,
)
from createrec.training.checkpoint import load as load_checkpoint  # noqa: E402
from createrec.training.trainer import make_optimizer  # noqa: E402

SECONDS = 20.0
"""An input that takes longer hangs."""
MEMORY = 6 << 30
"""Address space of the process; what wants more fails."""
CPU = torch.device("cpu")

# What people and attackers write into YAML and JSON; put in place of a word.
# fmt: off
WORDS = [
    "null", "true", "-1", "0", "1e400", "1e-400", ".inf", "-.inf", ".nan", "NaN", "0x1F", "1_0", '""', "''", "[]",
    "{}", "[[]]", "{a:{b:{}}}", "!!binary aGk=", "!!set {a,b}", "!!python/object:os.system x",
    "!!python/name:os.system", "&a [*a]", "*a", "<<: *a", "2020-01-01", "12:30:45", "../x", "/etc/passwd", "a b",
    "$(id)", "`id`", "; id", "'", '"', "\\", "é", "[1,2,3]", "kind: create", "kind: [x]", "sasrec", "%", "@",
    "- -", "|", ">", "#", "---", "? [a]",
    "9" * 30, "9" * 5000, "[" * 500, "{a: " * 300, "? 2020-01-01\n: 1", "\x00", "\ud7ff", "\u2603" * 50, "\t", "\n",
]
# fmt: on
VALUES = [None, True, -1, 0, 1e300, 10**30, "", "x", "../x", "\x00", [], {}, [[]], [1, "a", None], {"a": {"b": {}}}]
"""What JSON may hold in place of any of its values."""


@dataclass
class Target:
    """One way in: a sound input, how it is spoilt, and what takes it."""

    name: str
    whole: bytes
    take: Callable[[bytes], object]
    spoil: Callable[[bytes, random.Random], bytes] = mutated
    inputs: int = 0
    refused: int = 0
    failed: int = 0
    slowest: float = 0.0


def words_replaced(text: bytes, chance: random.Random) -> bytes:
    """Text with one to three words replaced, or, one time in four, with bytes mutated."""
    if chance.random() < 0.25:
        return mutated(text, chance)
    lines = text.decode().split("\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(lines))
        words = lines[at].split(" ")
        words[chance.randrange(len(words))] = chance.choice(WORDS)
        lines[at] = " ".join(words)
    return "\n".join(lines).encode("utf-8", "replace")


def values_replaced(text: bytes, chance: random.Random) -> bytes:
    """JSON with one value replaced or removed, or, one time in two, spoilt as a text."""
    if chance.random() < 0.5:
        return words_replaced(text, chance)
    root: dict = {"": json.loads(text)}
    place, key = root, ""
    while isinstance(place[key], dict | list) and place[key] and chance.random() < 0.8:
        place = place[key]
        key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
    if place is not root and chance.random() < 0.2:
        del place[key]
    else:
        place[key] = chance.choice(VALUES)
    return json.dumps(root[""]).encode()


def reader_targets(folder: Path) -> Iterator[Target]:
    for name, path, settings in valid_files(folder):
        file = FileConfig(**settings)

        def take(data: bytes, file=file, settings=settings) -> None:
            spoilt = folder / "spoilt"
            spoilt.write_bytes(data)
            found = read(spoilt, file, **asked(settings)).interactions
            assert len(found) and found.time.min() >= 0 and found.user.max() < found.users

        yield Target(f"reader {name}", path.read_bytes(), take)


def config_targets(folder: Path) -> Iterator[Target]:
    base, overlay = read_yaml(ROOT / "config.yaml"), ROOT / "config" / "demo.yaml"

    def take_yaml(data: bytes) -> None:
        path = folder / "overlay.yaml"
        path.write_bytes(data)
        plan(validate(merge(base, read_yaml(path)), str(path), ProjectConfig))

    def take_run(data: bytes) -> None:
        run = run_of_slice(json_option(data.decode("utf-8", "surrogateescape"), "--settings"))
        validate({"model": run.settings}, "settings", ModelSettings)

    def take_dataset(data: bytes) -> None:
        settings = json_option(data.decode("utf-8", "surrogateescape"), "--settings")
        validate(settings.get("dataset", {}), "settings", DatasetConfig)

    yield Target("config, YAML", overlay.read_bytes(), take_yaml, words_replaced)
    run = json.dumps(made.run_of("create").slice(), indent=0).encode()
    yield Target("config, JSON of a run", run, take_run, values_replaced)
    dataset = json.dumps({"dataset": {"file": {"path": "made.csv", **made.COLUMNS}}}, indent=0).encode()
    yield Target("config, JSON of a dataset", dataset, take_dataset, values_replaced)


def result_targets(folder: Path) -> Iterator[Target]:
    """The files of a whole run, each of them spoilt alone."""
    run = made.run_of("create")
    made.write_table(folder / "made.csv")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        for command in made.commands(run).values():
            assert createrec(command) == 0
    results = folder / "results"
    split = Split.load(results / "split.safetensors")
    train_run(run, split, CPU, checkpoint_folder=folder, checkpoint_seconds=0.0)
    with (folder / CHECKPOINT).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        fingerprint = json.loads(file.read(length))["__metadata__"]["fingerprint"]
    spoilt = folder / "spoilt"

    def taking(take: Callable[[Path], object]) -> Callable[[bytes], None]:
        def write_and_take(data: bytes) -> None:
            spoilt.write_bytes(data)
            take(spoilt)

        return write_and_take

    def resume(path: Path) -> None:
        model, randomness = build_run(run, split, CPU)
        load_checkpoint(path, fingerprint, model, make_optimizer(model, model_settings(run).training), randomness)

    def split_again(path: Path) -> None:
        write_split(
            TemporalSetup(), results / "interactions.parquet", path, folder / "out.safetensors", folder / "out.json"
        )

    def recommended(path: Path) -> None:
        place = folder / "tree" / "runs" / "made" / "create" / "drill" / "seed0"
        place.mkdir(parents=True, exist_ok=True)
        path.replace(place / "training.json")
        list(TrainedRun(place, CPU).answers([Question(None, ["i1"])], 5))

    tree = folder / "tree"
    for name, file in (("data/made", "interactions.parquet"), ("splits/made/temporal", "split.safetensors")):
        (tree / name).mkdir(parents=True)
        (tree / name / file).write_bytes((results / file).read_bytes())
    (tree / "runs/made/create/drill/seed0").mkdir(parents=True)
    model_file = tree / "runs/made/create/drill/seed0/model.safetensors"
    model_file.write_bytes((results / "run/model.safetensors").read_bytes())

    files: dict[str, tuple[Path, Callable[[Path], object]]] = {
        "interactions.parquet": (results / "interactions.parquet", Interactions.load),
        "split.safetensors": (results / "split.safetensors", lambda path: Split.load(path).hash),
        "model.safetensors": (
            results / "run/model.safetensors",
            lambda path: load_trained(path, run, split, CPU),
        ),
        CHECKPOINT: (folder / CHECKPOINT, resume),
        "dataset.json": (results / "dataset.json", split_again),
        "training.json": (results / "run/training.json", recommended),
        "record.json": (
            results / "run/record.json",
            lambda path: collect({}, [path], Preparations(results, results), folder / "metrics.csv"),
        ),
    }
    for name, (path, take) in files.items():
        spoil = values_replaced if path.suffix == ".json" else mutated
        yield Target(f"results, {name}", path.read_bytes(), taking(take), spoil)


def strike(target: Target, chance: random.Random, folder: Path) -> None:
    """One mutated input."""
    data = target.spoil(target.whole, chance)
    started = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        target.take(data)
    except CreaterecError:
        target.refused += 1
    except BaseException:
        target.failed += 1
        kept = folder / f"failed-{target.name.replace(' ', '_').replace(',', '')}-{target.inputs}"
        kept.write_bytes(data)
        if target.failed <= 3:
            print(f"\n{target.name}: {kept}", file=sys.stderr)
            traceback.print_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    target.inputs += 1
    target.slowest = max(target.slowest, time.perf_counter() - started)


def hang(*_: object) -> None:
    raise TimeoutError(f"no answer within {SECONDS:.0f} s")


def fuzz(inputs: int, seed: int, folder: Path) -> list[Target]:
    """Spoils `inputs` inputs of the readers and a tenth as many of the configuration and of the results' files."""
    signal.signal(signal.SIGALRM, hang)
    chance = random.Random(seed)
    everything = []
    for family, count in (
        (reader_targets, inputs),
        (config_targets, inputs // 10),
        (result_targets, inputs // 10),
    ):
        place = folder / family.__name__
        place.mkdir()
        targets = list(family(place))
        for target in targets:
            target.take(target.whole)  # a sound input is taken
        for number in range(count):
            strike(targets[number % len(targets)], chance, folder)
        everything += targets
    return everything


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="mutated inputs of the readers")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    started = time.perf_counter()
    targets = fuzz(options.inputs, options.seed, Path(tempfile.mkdtemp(prefix="createrec-fuzz-")))
    print("| input | mutated | refused with a message | tracebacks or hangs | slowest |\n|---|---:|---:|---:|---:|")
    for target in targets:
        row = (target.name, f"{target.inputs:,}", f"{target.refused:,}", target.failed, f"{target.slowest:.2f} s")
        print("| " + " | ".join(map(str, row)) + " |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    total = sum(target.inputs for target in targets)
    print(f"\n{total:,} inputs in {time.perf_counter() - started:.0f} s, at most {peak:,} MiB of memory")
    return int(any(target.failed for target in targets))


if __name__ == "__main__":
    sys.exit(main())
