"""Commands about evaluation: evaluate, collect, recommend."""

import argparse
import sys
from pathlib import Path

from createrec.errors import ConfigError, DataError
from createrec.files import read_json
from createrec.options import add_device, json_option


def register(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("evaluate", help="rank with one trained run and write its record")
    command.add_argument("--settings", required=True, help="JSON: the run's slice of the plan")
    command.add_argument("--split", type=Path, required=True, metavar="SAFETENSORS")
    command.add_argument("--statistics", type=Path, required=True, metavar="JSON")
    command.add_argument("--model", type=Path, required=True, metavar="SAFETENSORS")
    command.add_argument("--history", type=Path, required=True, metavar="JSON")
    command.add_argument("--record", type=Path, required=True, metavar="JSON")
    command.add_argument("--ranks", type=Path, required=True, metavar="PARQUET")
    add_device(command)
    command.set_defaults(run=run_evaluate)

    command = commands.add_parser("collect", help="collect records into metrics.csv")
    command.add_argument("records", type=Path, nargs="*", metavar="RECORD")
    command.add_argument("--records-from", type=Path, metavar="DIR", help="every record.json below this folder")
    command.add_argument("--output", type=Path, required=True, metavar="CSV")
    command.set_defaults(run=run_collect)

    command = commands.add_parser("recommend", help="print a trained run's best items, in the dataset's own ids")
    command.add_argument("folder", type=Path, metavar="RUN", help="results/runs/DATASET/MODEL/VARIANT/seedN")
    command.add_argument("--history", metavar="ID,ID,...", help="item ids, oldest first; may be empty")
    command.add_argument("--histories", type=Path, metavar="FILE", help="one history a line")
    command.add_argument("--user", metavar="ID", help="a user of the training data, for models of users")
    command.add_argument("-k", type=int, default=10, help="how many items (default: 10)")
    add_device(command)
    command.set_defaults(run=run_recommend)


def run_evaluate(options: argparse.Namespace) -> None:
    from createrec.data.split import Split
    from createrec.evaluation.record import evaluate_run, write_record
    from createrec.training.device import choose_device, memory_explained
    from createrec.training.run import held, load_trained, require_pair, run_of_slice

    run = run_of_slice(json_option(options.settings, "--settings"))
    split, statistics = Split.load(options.split), read_json(options.statistics)
    if statistics.get("dataset") != run.dataset or statistics.get("split_hash") != split.hash:
        raise DataError(f"{options.statistics}: does not belong to {options.split} of {run.dataset}; split again")
    history = read_json(options.history)
    decided = {key: value for key, value in run.slice().items() if key != "evaluation"}
    trained = history.get("run")
    if not isinstance(trained, dict):
        raise DataError(f"{options.history}: not the history of a training; train the run again")
    differ = [key for key, value in decided.items() if trained.get(key) != value]
    if differ:
        raise ConfigError(f"{options.history}: was trained with another {', '.join(differ)}; train the run again")
    device = choose_device(options.device)
    with held(options.model.parent), memory_explained(device, "rank on another one (--device)"):
        require_pair(options.model, history)
        model = load_trained(options.model, run, split, device)
        record, ranks = evaluate_run(run, split, statistics, model, history)
        write_record(record, ranks, options.record, options.ranks)
    print(f"{run.folder}: " + ", ".join(f"{name} {100 * value:.2f} %" for name, value in record["metrics"].items()))


def run_collect(options: argparse.Namespace) -> None:
    from createrec.evaluation.collect import collect

    records = list(options.records)
    if options.records_from:
        records += sorted(options.records_from.rglob("record.json"))
    print(f"{options.output}: {collect(records, options.output)} rows from {len(records)} records")


def _split_ids(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def run_recommend(options: argparse.Namespace) -> None:
    from createrec.evaluation.recommend import recommend
    from createrec.training.device import choose_device

    if (options.history is None) == (options.histories is None):
        raise ConfigError("recommend: give either --history or --histories")
    if options.k < 1:
        raise ConfigError(f"recommend: -k must be 1 or more, given {options.k}")
    if options.histories:
        try:
            lines = options.histories.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{options.histories}: cannot be read as text ({error})") from None
        histories = [_split_ids(line) for line in lines]
    else:
        histories = [_split_ids(options.history)]
    users = [options.user] * len(histories)
    for answer in recommend(options.folder, histories, users, options.k, choose_device(options.device)):
        if answer.unknown:
            print(f"not in the catalogue, left out: {', '.join(answer.unknown)}", file=sys.stderr)
        print(",".join(answer.items))
