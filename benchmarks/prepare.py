"""How long a large CSV takes to be prepared, and how much memory.

    python benchmarks/prepare.py --rows 5000000
    python benchmarks/prepare.py --rows 5000000 --beside ../older/src     # and another version's, in the same run

Each preparation is a process of its own. Times are of its processor, so that others on the machine count little; the
import of the libraries is measured apart and taken off. Rows are made: users by an even draw, items by a skewed one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

CODE = """
import json, resource, sys, time
from createrec.config import DatasetConfig
try:
    from createrec.data.datasets import prepare_dataset
except ImportError:
    from createrec.data.commands import prepare_dataset
from pathlib import Path
before = time.process_time()
if sys.argv[1]:
    settings = DatasetConfig(file={"path": sys.argv[1]})
    facts = prepare_dataset("made", settings, None, Path(sys.argv[2]))
used = resource.getrusage(resource.RUSAGE_SELF)
found = {"seconds": time.process_time() - before, "mebibytes": used.ru_maxrss >> 10}
print(json.dumps(found | ({"hash": facts["dataset_hash"]} if sys.argv[1] else {})))
"""


def write_made(path: Path, rows: int) -> None:
    """A CSV of made rows: a user for every 40 of them, an item for every 200."""
    generator = np.random.default_rng(0)
    with pacsv.CSVWriter(path, pa.schema({"user": pa.int64(), "item": pa.int64(), "time": pa.int64()})) as file:
        for start in range(0, rows, 1_000_000):
            size = min(1_000_000, rows - start)
            user = generator.integers(0, rows // 40 + 1, size)
            item = (generator.random(size) ** 3 * (rows // 200 + 1)).astype(np.int64)
            time = 1_500_000_000 + generator.integers(0, 100_000_000, size)
            file.write_table(pa.table({"user": user, "item": item, "time": time}))


def measured(source: Path, path: str, output: str) -> dict:
    """One preparation in a process of its own, by the version whose `src` folder is given."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", CODE, path, output], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--beside", type=Path, help="`src` folder of another version")
    options = parser.parse_args()
    versions = {"this version": Path(__file__).parents[1] / "src"}
    if options.beside:
        versions["the other version"] = options.beside.resolve()
    with tempfile.TemporaryDirectory(prefix="createrec-prepare-") as folder:
        path = Path(folder) / "made.csv"
        write_made(path, options.rows)
        print(f"{options.rows:,} rows of CSV, {path.stat().st_size / 2**20:,.0f} MiB")
        hashes = set()
        for name, source in versions.items():
            idle = measured(source, "", "")
            found = measured(source, str(path), f"{folder}/{name}")
            hashes.add(found["hash"])
            above = found["mebibytes"] - idle["mebibytes"]
            print(
                f"{name}: {found['seconds']:.1f} core-seconds, {above:,} MiB above the libraries' {idle['mebibytes']:,}"
            )
        print("the same dataset hash" if len(hashes) == 1 else f"different dataset hashes: {hashes}")


if __name__ == "__main__":
    main()
