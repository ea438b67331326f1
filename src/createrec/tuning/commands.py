"""Commands about tuning: tune."""

import argparse
from pathlib import Path

from createrec.errors import ConfigError
from createrec.options import add_device, add_split, json_option, split_of


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("tune", help="search one model's settings on the validation fold, or go on with it")
    command.add_argument("--settings", required=True, help="JSON: the study's slice of the configuration")
    add_split(command)
    command.add_argument("--journal", type=Path, required=True, metavar="LOG", help="finished trials are kept here")
    command.add_argument("--trials", type=Path, required=True, metavar="CSV")
    command.add_argument(
        "--choice", type=Path, required=True, metavar="CSV", help="the best settings over several seeds"
    )
    command.add_argument("--best", type=Path, required=True, metavar="YAML")
    command.add_argument(
        "--next", type=Path, required=True, metavar="YAML", help="settings that the fold cannot tell from the best"
    )
    command.add_argument("--importance", type=Path, required=True, metavar="PNG")
    command.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="trials side by side on one device; above 1 the order in which they end steers the search",
    )
    add_device(command)
    command.set_defaults(run=run_tune)


def run_tune(options: argparse.Namespace) -> None:
    from createrec.runs.run import run_of_slice, validation_queries
    from createrec.tuning.choice import choose, means, train_finalists, write_choice
    from createrec.tuning.outputs import (
        best_trial,
        refuse_equals,
        write_best,
        write_importance,
        write_next,
        write_trials,
    )
    from createrec.tuning.study import StudySettings, run_study

    if options.workers < 1:
        raise ConfigError(f"--workers {options.workers}: expected 1 or more")
    settings = StudySettings.of(json_option(options.settings, "--settings"))
    split, statistics = split_of(options, settings.run["dataset"])
    validation_queries(split, run_of_slice(settings.run))
    study = run_study(settings, split, options.journal, device=options.device, workers=options.workers)
    write_trials(study, settings, options.trials)
    best_trial(study)  # an error that says why, where there is none
    refuse_equals(study)
    trainings = train_finalists(settings, split, options.journal, device=options.device, workers=options.workers)
    write_choice(trainings, options.choice)
    write_best(study, settings, trainings, statistics, options.best)
    write_next(study, settings, trainings, options.next)
    write_importance(study, settings, options.importance)
    chosen, _ = choose(trainings)
    print(f"chosen of {study.study_name}: trial {chosen}, validation ndcg@10 {100 * means(trainings)[chosen]:.2f} %")
