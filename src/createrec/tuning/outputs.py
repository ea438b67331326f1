"""What a study leaves: its trials table, its best settings in the format of `hparams/`, and the importance plot."""

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from matplotlib.figure import Figure
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from createrec.errors import TrainingError
from createrec.files import atomic_path
from createrec.tuning.choice import Training, choose, means
from createrec.tuning.space import nested
from createrec.tuning.study import STATES, StudySettings, finished, reached

# With fewer complete trials, importance would be drawn from noise.
FEWEST_COMPLETE = 5
# Standard error of one validation NDCG@10, as a share of its value: 7 % on Amazon Beauty, 10 % on MovieLens-1M.
FOLD_NOISE = 0.1


def write_trials(study: optuna.Study, settings: StudySettings, path: Path) -> None:
    """One row per trial, interrupted ones included.

    `value` is the best validation NDCG@10 that the trial reached, `best_epoch` when (counted from 0 through all
    phases, as in a record), `epochs` how many it trained, `seconds` the wall time with validation.
    """
    names = list(settings.space)
    facts = ("best_epoch", "epochs", "seconds")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["number", "state", "reason", "value", *facts, *names, "device", "code_version"])
        for trial in study.get_trials(deepcopy=False):
            if trial.state.is_finished():
                note = trial.user_attrs
                head = [trial.number, STATES[trial.state], note.get("reason"), note.get("best")]
                values = [_cell(trial, name) for name in names]
                rows.writerow([*head, *map(note.get, facts), *values, note.get("device"), note.get("code_version")])


def _cell(trial: FrozenTrial, name: str) -> Any:
    """A setting's value; `null` for a chosen nothing, to be told from one that was never proposed."""
    return "null" if name in trial.params and trial.params[name] is None else trial.params.get(name)


def best_trial(study: optuna.Study) -> FrozenTrial:
    """The complete trial with the best validation NDCG@10; the earliest of equals.

    Raises:
        TrainingError: no trial was completed.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        reasons = sorted({trial.user_attrs.get("reason", "") for trial in finished(study)}) or [
            "the budget is too small"
        ]
        raise TrainingError(f"the study {study.study_name} has no complete trial: {'; '.join(reasons)}")
    return max(complete, key=lambda trial: (reached(trial), -trial.number))


def refuse_equals(study: optuna.Study) -> None:
    """A search whose trials all end alike has found nothing, and its first trial is not the best one.

    Raises:
        TrainingError: no complete trial reached anything, or all of several reached the same.
    """
    values = [reached(trial) for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    if values and (max(values) == 0 or (len(values) > 1 and min(values) == max(values))):
        raise TrainingError(
            f"the study {study.study_name} adopts nothing: its {len(values)} complete trials all reached a validation "
            f"ndcg@10 of {100 * values[0]:.2f} %, so that no setting can be told from another; see what "
            "`createrec stats` says of the validation users and of seen targets"
        )


def best_settings(study: optuna.Study, settings: StudySettings, trainings: Sequence[Training]) -> dict[str, Any]:
    """The chosen finalist's searched settings, with the epochs of the last phase that led to its best epochs.

    The final model trains so many epochs on train + validation, with nothing to stop it early (paper, Section 4.2).
    """
    number, epochs = choose(trainings)
    values: dict[str, Any] = dict(study.get_trials(deepcopy=False)[number].params)
    if epochs is not None:
        values["training.epochs"] = epochs
    return nested(values, settings.run["settings"])


def next_settings(
    study: optuna.Study, settings: StudySettings, trainings: Sequence[Training]
) -> dict[str, dict[str, Any]]:
    """`trial-N` -> settings, of the finalists that one validation fold cannot tell from the chosen one."""
    found, (chosen, _) = means(trainings), choose(trainings)
    return {
        f"trial-{number}": best_settings(study, settings, [one for one in trainings if one.setting == number])
        for number, mean in found.items()
        if number != chosen and mean >= (1 - FOLD_NOISE) * found[chosen]
    }


def _write_settings(lines: Sequence[str], settings: Mapping[str, Any], path: Path) -> None:
    """Settings, sorted by name, under comments."""
    with atomic_path(path) as temporary:
        comments = "".join(f"# {line}\n" for line in lines)
        temporary.write_text(comments + yaml.safe_dump(settings, sort_keys=True), encoding="utf-8")


def write_next(study: optuna.Study, settings: StudySettings, trainings: Sequence[Training], path: Path) -> None:
    """Those settings, for the exhibit `choices`: how far the luck of choosing moves the model on the test."""
    found, others = means(trainings), next_settings(study, settings, trainings)
    lines = [
        f"Settings of {settings.run['model']} on {settings.run['dataset']} that one validation fold cannot tell from "
        f"the chosen ones (within {100 * FOLD_NOISE:g} %), written by `createrec tune`; see hparams/README.md.",
        f"study: {study.study_name}",
        *(f"{name}: validation ndcg@10 = {found[int(name.removeprefix('trial-'))]:.6f}" for name in others),
    ]
    _write_settings(lines, others, path)


def write_best(
    study: optuna.Study,
    settings: StudySettings,
    trainings: Sequence[Training],
    statistics: Mapping[str, Any],
    path: Path,
) -> None:
    """The chosen settings under comments that say where they come from."""
    trials, chosen = finished(study), choose(trainings)[0]
    best = study.get_trials(deepcopy=False)[chosen]
    seeds = [training.seed for training in trainings if training.setting == chosen]
    seconds = sum(training.seconds for training in trainings if training.seed != settings.run["seed"])
    counts = [f"{sum(trial.state == state for trial in trials)} {name}" for state, name in STATES.items()]
    seen = {fact: sorted({trial.user_attrs[fact] for trial in trials}) for fact in ("device", "code_version")}
    label, epoch = statistics.get("label"), best.user_attrs["best_epoch"]
    lines = [
        f"Tuned settings of {settings.run['model']} on {settings.run['dataset']}{f' ({label})' if label else ''}, "
        "written by `createrec tune`; see hparams/README.md.",
        f"objective: validation ndcg@10 = {means(trainings)[chosen]:.6f}, mean of {len(seeds)} seed(s)",
        f"found by: trial {best.number} ({best.value:.6f})" + ("" if epoch is None else f", epoch {epoch}"),
        f"chosen: among the best {len(means(trainings))} settings, in {seconds / 3600:.2f} hours more",
        f"study: {study.study_name}, seed {settings.tuning.seed}, {study.user_attrs['hours']:.2f} hours",
        f"trials: {len(trials)} ({', '.join(counts)})",
        f"split: {statistics['split_hash']}",
        f"device: {'; '.join(seen['device'])}",
        f"code: {', '.join(seen['code_version'])}",
        f"date: {max(trial.datetime_complete for trial in trials if trial.datetime_complete):%Y-%m-%d}",
    ]
    _write_settings(lines, best_settings(study, settings, trainings), path)


def importances(study: optuna.Study) -> dict[str, float]:
    """How much each setting decides whether a trial is among the best (PED-ANOVA, Watanabe et al., IJCAI 2023).

    Empty where too few trials are complete, or all that are complete are equally good.
    """
    if sum(trial.state == TrialState.COMPLETE for trial in finished(study)) < FEWEST_COMPLETE:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the estimate's small sample, which the plot states
        try:
            return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
        except (ValueError, RuntimeError, ZeroDivisionError):
            return {}


def write_importance(study: optuna.Study, settings: StudySettings, path: Path) -> None:
    """Importance of each setting, beside the course of the study."""
    trials = finished(study)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    pruned = [trial for trial in trials if trial.state == TrialState.PRUNED]
    shares = importances(study)
    figure = Figure(figsize=(9, 1.6 + 0.3 * max(4, len(settings.space))), layout="constrained")
    left, right = figure.subplots(1, 2)
    if shares:
        names = sorted(shares, key=lambda name: shares[name])
        left.barh(names, [shares[name] for name in names], color="#0072B2")
    else:
        left.text(0.5, 0.5, "too few complete trials", ha="center", transform=left.transAxes)
    left.set_xlabel("importance (PED-ANOVA)")
    left.set_title(f"{settings.run['model']} on {settings.run['dataset']}, {len(complete)} complete trials", loc="left")
    right.plot(
        [t.number for t in complete], [100 * reached(t) for t in complete], "o", color="#0072B2", label="complete"
    )
    if pruned:
        levels = [100 * trial.user_attrs["best"] for trial in pruned]
        right.plot([trial.number for trial in pruned], levels, "x", color="#595959", label="pruned")
    best = [100 * max(reached(t) for t in complete[: n + 1]) for n in range(len(complete))]
    right.step([t.number for t in complete], best, where="post", color="#D55E00", label="best so far")
    right.set_xlabel("trial")
    right.set_ylabel("validation NDCG@10, %")
    right.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png", metadata={"Software": None})
