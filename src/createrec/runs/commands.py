"""Commands about runs: train, evaluate, run, repeat, campaign, collect, recommend, models, schema."""

import argparse
import csv
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from tqdm import tqdm

from createrec.config import schema
from createrec.errors import ConfigError
from createrec.files import read_json, write_json
from createrec.kinds import CATALOGUE
from createrec.matching import Preparations, summary, training_differences
from createrec.options import RESULTS, add_config, add_device, add_split, config_of, json_option, split_of
from createrec.plan import Fold, Run, Setup
from createrec.written import TrainingFile, read_written

if TYPE_CHECKING:
    from createrec.runs.recommend import Question

SCHEMA = Path("workflow/schemas/config.schema.json")


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("train", help="train one run of the plan")
    _add_run(command)
    command.add_argument(
        "--sources", type=Path, metavar="JSON", help="where settings come from, by the run's folder; for the record"
    )
    command.add_argument("--checkpoint-seconds", type=float, default=60.0, help="at most this much training is lost")
    add_device(command)
    command.set_defaults(run=run_train)

    command = commands.add_parser("evaluate", help="rank with one trained run and write its record")
    _add_run(command)
    command.add_argument("--record", type=Path, required=True, metavar="JSON")
    command.add_argument("--ranks", type=Path, required=True, metavar="PARQUET")
    add_device(command)
    command.set_defaults(run=run_evaluate)

    command = commands.add_parser("run", help="train and evaluate one model, with everything it needs")
    command.add_argument("dataset")
    command.add_argument("model")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--variant", help="name of the result's folder (default: by what differs from Table 2's run)")
    command.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="settings, for instance dropout=0.2")
    command.add_argument("--fold", choices=get_args(Fold), default="test")
    command.add_argument("--setup", choices=get_args(Setup), default="temporal")
    command.add_argument("--results", type=Path, default=RESULTS, help="folder of data, splits and runs")
    add_config(command)
    add_device(command)
    command.set_defaults(run=run_run)

    command = commands.add_parser("repeat", help="make a published run again, and compare it digit by digit")
    command.add_argument("runs", nargs="+", metavar="RUN", help="for instance amazon-office/sasrec/table3/seed1")
    command.add_argument("--results", type=Path, default=RESULTS, help="folder of data and splits")
    command.add_argument("--published", type=Path, default=RESULTS / "published", help="what was published")
    command.add_argument("--output", type=Path, default=RESULTS / "repeated", help="where the new records go")
    add_config(command)
    add_device(command)
    command.set_defaults(run=run_repeat)

    command = commands.add_parser("campaign", help="make the most valuable missing runs within a time budget")
    command.add_argument("--seconds", type=float, default=3600, help="time budget (default: an hour)")
    command.add_argument("--workers", type=int, default=1, help="trainings side by side")
    command.add_argument("--datasets", nargs="+", required=True, help="datasets at hand")
    command.add_argument("--groups", nargs="+", default=None, help="tables and ablations, in order (default: all)")
    command.add_argument("--models", nargs="+", default=None, help="only these models")
    command.add_argument("--results", type=Path, default=RESULTS, help="folder of data, splits and checkpoints")
    command.add_argument("--published", type=Path, default=RESULTS / "published", help="where records go")
    command.add_argument("--archive", type=Path, metavar="TAR.GZ", help="pack all published records at the end")
    command.add_argument(
        "--list", action="store_true", help="print what is missing and what it takes here, and do nothing"
    )
    add_config(command)
    add_device(command)
    command.set_defaults(run=run_campaign)

    command = commands.add_parser("collect", help="collect records into metrics.csv")
    command.add_argument("records", type=Path, nargs="*", metavar="RECORD")
    command.add_argument("--records-from", type=Path, metavar="DIR", help="every record.json below this folder")
    command.add_argument("--output", type=Path, required=True, metavar="CSV")
    command.add_argument("--data", type=Path, default=RESULTS / "data", metavar="DIR", help="DATASET/dataset.json")
    command.add_argument(
        "--splits", type=Path, default=RESULTS / "splits", metavar="DIR", help="DATASET/SETUP/split.json"
    )
    command.add_argument("--leave-out", action="store_true", help="leave out, and name, what does not match")
    command.add_argument(
        "--config", nargs="+", type=Path, help="config.yaml and its overlays, whose plan the records are compared with"
    )
    command.set_defaults(run=run_collect)

    command = commands.add_parser(
        "recommend", help="a trained run's best items, in the dataset's own ids, as JSON lines or parquet"
    )
    command.add_argument("folder", type=Path, metavar="RUN", help="results/runs/DATASET/MODEL/VARIANT/seedN")
    command.add_argument(
        "--history",
        metavar="ID,ID,...",
        help='item ids, oldest first; may be empty; an id with a comma: \'["a,b", "c"]\', or in double quotes',
    )
    command.add_argument("--histories", type=Path, metavar="FILE", help="one history per line, as for --history")
    command.add_argument(
        "--user", nargs="+", default=[], metavar="ID", help="users of the dataset; without a history their own"
    )
    command.add_argument("--all-users", action="store_true", help="every user of the dataset, with their own history")
    command.add_argument("--output", type=Path, metavar="PARQUET", help="write user, rank, item; print nothing")
    command.add_argument("-k", type=int, default=10, help="how many items (default: 10)")
    add_device(command)
    command.set_defaults(run=run_recommend)

    command = commands.add_parser("models", help="list the models of the configuration and the catalogue, one per line")
    command.add_argument("--kinds", action="store_true", help="all that settings can name: role, kind, title, code")
    add_config(command)
    command.set_defaults(run=run_models)

    command = commands.add_parser("schema", help="write the JSON schema of config.yaml")
    command.add_argument("--output", type=Path, default=SCHEMA)
    command.set_defaults(run=lambda options: write_json(options.output, schema()))


def run_models(options: argparse.Namespace) -> None:
    if not options.kinds:
        print("\n".join(config_of(options).models))
        return
    for kind in CATALOGUE.values():
        print(f"{kind.role:<11}{kind.name:<14}{kind.title:<24}{(kind.encoder or kind).code or '-'}")


def _add_run(command: argparse.ArgumentParser) -> None:
    """A run of the plan, its data, and where its trained model lies."""
    command.add_argument("--settings", required=True, help="JSON: the run's slice of the plan")
    add_split(command)
    command.add_argument("--model", type=Path, required=True, metavar="SAFETENSORS")
    command.add_argument("--history", type=Path, required=True, metavar="JSON")


class Reporter:
    """A bar for a person at a terminal, a line per epoch for a log."""

    def __init__(self, name: str, epochs: int) -> None:
        self.name = name
        self.bar = tqdm(total=epochs, unit="epoch", desc=name, disable=not sys.stderr.isatty())

    def __call__(self, entry: dict[str, Any]) -> None:
        parts = [f"{name} {value:.4f}" for name, value in entry["losses"].items()]
        if entry["validation"]:
            parts.append(f"validation ndcg@10 {entry['validation']['ndcg@10']:.4f}")
        if self.bar.disable:
            print(
                f"{self.name} epoch {entry['epoch']} {entry['phase']}: {', '.join(parts)}; {entry['seconds']:.1f} s",
                flush=True,
            )
        else:
            self.bar.set_postfix_str(", ".join(parts))
            self.bar.update(entry["epoch"] + 1 - self.bar.n)


def _epochs(settings: Mapping[str, Any]) -> int:
    return settings.get("training", {}).get("epochs", 0) + settings.get("warmup_epochs", 0)


def run_train(options: argparse.Namespace) -> None:
    from createrec.runs.run import run_lock, run_of_slice, save_trained, train_run
    from createrec.training.device import choose_device

    run = run_of_slice(json_option(options.settings, "--settings"))
    split, _ = split_of(options, run.dataset)
    if options.sources:
        run = replace(run, sources=read_json(options.sources).get(run.folder, ()))
    _print_sources(run)
    with run_lock(options.model.parent):
        model, facts = train_run(
            run,
            split,
            choose_device(options.device),
            checkpoint_folder=options.model.parent,
            checkpoint_seconds=options.checkpoint_seconds,
            report=Reporter(run.folder, _epochs(run.settings)),
        )
        save_trained(model, facts, options.model, options.history)
    for note in facts["notes"]:
        print(f"note: {note}")


def run_evaluate(options: argparse.Namespace) -> None:
    from createrec.runs.record import evaluate_run, write_record
    from createrec.runs.run import check_model_file, load_trained, run_lock, run_of_slice, stops_early
    from createrec.training.device import choose_device, memory_explained

    run = run_of_slice(json_option(options.settings, "--settings"))
    split, statistics = split_of(options, run.dataset)
    history = read_written(options.history, TrainingFile)
    hashes = {"split_hash": split.hash}
    if different := training_differences(run, history, hashes, validates=stops_early(run, split)):
        raise ConfigError(f"{options.history}: was trained otherwise: {summary(different)}; train the run again")
    device = choose_device(options.device)
    with run_lock(options.model.parent), memory_explained(device, "rank on another one (--device)"):
        check_model_file(options.model, history)
        model = load_trained(options.model, run, split, device)
        record, ranks = evaluate_run(run, split, statistics, model, history)
        write_record(record, ranks, options.record, options.ranks)
    print(f"{run.folder}: " + ", ".join(f"{name} {100 * value:.2f} %" for name, value in record["metrics"].items()))


def _overrides(pairs: list[str]) -> dict[str, Any]:
    """Nested settings of `a.b=value` pairs; values are JSON, or else text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise ConfigError(f"--set {pair}: expected KEY=VALUE, for instance training.epochs=20")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        inner = settings
        *parents, leaf = key.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"--set {pair}: '{parent}' was given a value of its own before")
        if leaf in inner:
            raise ConfigError(f"--set {pair}: '{key}' was given {json.dumps(inner[leaf])} before; give it once")
        inner[leaf] = value
    return settings


def _print_sources(run: Run) -> None:
    """Where the settings that are not defaults come from, one line each; the later one wins."""
    for source in run.sources:
        print(f"settings of {source['from']}: {json.dumps(source['settings'])}")


def run_run(options: argparse.Namespace) -> None:
    from createrec.data.datasets import split_dataset
    from createrec.plan import single_run
    from createrec.runs.record import evaluate_run, write_record
    from createrec.runs.run import run_lock, save_trained, train_run
    from createrec.training.device import choose_device

    config = config_of(options)
    run = single_run(
        config,
        options.dataset,
        options.model,
        options.seed,
        variant=options.variant,
        setup=options.setup,
        fold=options.fold,
        overrides=_overrides(options.set),
    )
    folder = options.results / "runs" / run.folder
    tuned = f"; tuned settings: {config.hparams}" if config.hparams else ""
    print(f"configuration: {' + '.join(config.files)}{tuned}")
    _print_sources(run)
    print(f"folder: {folder}", flush=True)
    split, statistics = split_dataset(config, run.dataset, run.setup, options.results)
    device = choose_device(options.device)
    report = Reporter(run.folder, _epochs(run.settings))
    with run_lock(folder):
        model, facts = train_run(run, split, device, checkpoint_folder=folder, report=report)
        save_trained(model, facts, folder / "model.safetensors", folder / "training.json")
        record, ranking = evaluate_run(run, split, statistics, model, facts)
        write_record(record, ranking, folder / "record.json", folder / "ranks.parquet")
    for note in (*facts["notes"], *statistics["warnings"]):
        print(f"note: {note}", file=sys.stderr)
    for name, value in record["metrics"].items():
        print(f"{name:<12} {100 * value:.2f} %")


def run_repeat(options: argparse.Namespace) -> None:
    from createrec.runs.campaign import Job, make_record, prepare_data
    from createrec.runs.repeat import compare, published_run, refuse_other_data, told

    config = config_of(options)
    wanted = [published_run(config, folder, options.published) for folder in options.runs]
    prepare_data(config, [run for run, _ in wanted], options.results)
    for run, record in wanted:
        refuse_other_data(run, record, options.results)
        make_record(
            Job(run, options.results, options.output, options.device), Reporter(run.folder, _epochs(run.settings))
        )
        print("\n".join(told(compare(run.folder, options.published, options.output))), flush=True)


def run_campaign(options: argparse.Namespace) -> None:
    from createrec.exhibits import GROUPS
    from createrec.runs.campaign import archive, campaign, missing_runs, planned_runs, prepare_data
    from createrec.runs.cost import measured_rate, told
    from createrec.training.device import choose_device

    config = config_of(options)
    groups = options.groups or GROUPS
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise ConfigError(f"--groups: unknown {', '.join(unknown)}; known: {', '.join(GROUPS)}")
    runs = planned_runs(config, options.datasets, groups)
    runs = [run for run in runs if options.models is None or run.model in options.models]
    if not options.list:  # before anything counts as made: its data may have changed since
        prepare_data(config, runs, options.results)
    runs = missing_runs(runs, options.published, options.results)
    if options.list:
        if runs:
            device = choose_device(options.device)
            print("\n".join(told(runs, options.published, options.results, measured_rate(device), device.type)))
        return
    # Asked to end, the command ends its workers too: only an exit in order does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    lines = campaign(
        runs,
        results=options.results,
        published=options.published,
        seconds=options.seconds,
        workers=options.workers,
        device=options.device,
    )
    print(f"{len(lines)} of {len(runs)} missing runs ended")
    if options.archive:
        print(f"{options.archive}: {archive(options.published, options.archive)} files")


def run_collect(options: argparse.Namespace) -> None:
    from createrec.plan import runs
    from createrec.runs.collect import collect

    records = list(options.records)
    if options.records_from:
        records += sorted(options.records_from.rglob("record.json"))
    planned = runs(config_of(options)) if options.config else {}
    today = Preparations(options.data, options.splits)
    rows, left_out = collect(planned, records, today, options.output, leave_out=options.leave_out)
    for path, how in left_out.items():
        print(f"left out {path}: {how}", file=sys.stderr)
    print(f"{options.output}: {rows} rows from {len(records) - len(left_out)} records")


def _ids(text: str) -> list[str]:
    """Item ids of one history: a JSON list, or separated by commas, those with commas of their own in double quotes."""
    if text.lstrip().startswith("["):
        with suppress(json.JSONDecodeError):
            return [str(name) for name in json.loads(text)]
    return [name.strip() for row in csv.reader([text], skipinitialspace=True) for name in row if name.strip()]


def _questions(options: argparse.Namespace, users: Sequence[str]) -> list["Question"]:
    """Whom a person asks about; `users` are all users of the dataset."""
    from createrec.runs.recommend import Question

    if options.history is not None:
        return [Question(options.user[0] if options.user else None, _ids(options.history))]
    if options.histories is not None:
        try:
            lines = options.histories.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{options.histories}: cannot be read as text ({error})") from None
        return [Question(None, _ids(line)) for line in lines]
    return [Question(user, None) for user in (users if options.all_users else options.user)]


def run_recommend(options: argparse.Namespace) -> None:
    from createrec.runs.recommend import TrainedRun, write_lists
    from createrec.training.device import choose_device

    ways = [options.history is not None, options.histories is not None, options.all_users]
    if sum(ways) > 1 or not (any(ways) or options.user):
        raise ConfigError("recommend: give one of --history, --histories, --user and --all-users")
    if options.user and (options.all_users or options.histories or (options.history is not None and options.user[1:])):
        raise ConfigError("recommend: --user goes alone, or one user with one --history")
    if options.k < 1:
        raise ConfigError(f"recommend: -k must be 1 or more, given {options.k}")
    trained = TrainedRun(options.folder, choose_device(options.device))
    answers = trained.answers(_questions(options, trained.users), options.k)
    if options.output:
        print(f"{options.output}: lists of {write_lists(answers, options.output):,} users")
        return
    for answer in answers:
        of = f"user {answer.user}: " if answer.user is not None else ""
        if answer.unknown:
            print(f"{of}not in the catalogue, left out: {', '.join(answer.unknown)}", file=sys.stderr)
        if answer.popularity:
            print(f"{of}the model has nothing to go by here; these are the most popular items", file=sys.stderr)
        print(json.dumps(asdict(answer), ensure_ascii=False))
