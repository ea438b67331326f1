"""What a trained run recommends, in the dataset's own ids (paper, Section 5.4: no folding-in is needed)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from createrec.data.batch import QueryBatch
from createrec.data.interactions import Interactions
from createrec.data.split import Split
from createrec.errors import ConfigError, DataError
from createrec.evaluation.ranking import remove_seen_, top_items
from createrec.files import read_json
from createrec.ops.ragged import Sequences
from createrec.plan import Run
from createrec.runs.run import check_model_file, load_trained, run_of_slice


@dataclass(frozen=True)
class Recommendation:
    """The best items of one history, and the ids of the history that the catalogue does not know."""

    items: list[str]
    unknown: list[str]


def _removes_seen(folder: Path, run: Run) -> bool:
    """As the run is evaluated; its training may not know (the rules give a training no evaluation switches)."""
    record = folder / "record.json"
    evaluation = read_json(record).get("evaluation") if record.exists() else run.evaluation
    if not isinstance(evaluation, dict):
        raise DataError(f"{record}: not a record; delete it and evaluate the run again")
    return evaluation.get("remove_seen", True)


def recommend(
    folder: Path, histories: Sequence[Sequence[str]], users: Sequence[str | None], k: int, device: torch.device
) -> list[Recommendation]:
    """The k best items for each history, oldest item first.

    Ids outside the catalogue are left out and reported. An empty history (or one of unknown ids only) gets the
    most popular training items. Models of users (LightGCN, UltraGCN, SVD) answer for a user of the training
    data by name; for everyone else they, too, fall back on popularity.

    Args:
        folder: a run's folder, results/runs/DATASET/MODEL/VARIANT/seedN.
        histories: item ids, oldest first.
        users: user ids, None for somebody new.
        k: length of each list; shorter where fewer items are left to recommend.
        device: where to score.

    Raises:
        ConfigError: the folder is no trained run, or its dataset is not at hand.
    """
    training = folder / "training.json"
    if not training.exists():
        raise ConfigError(
            f"{folder}: not a trained run (no training.json); expected results/runs/DATASET/MODEL/VARIANT/seedN"
        )
    history = read_json(training)
    run = run_of_slice(history.get("run", {}))
    results = folder.resolve().parents[4]
    interactions = Interactions.load(results / "data" / run.dataset / "interactions.parquet")
    split = Split.load(results / "splits" / run.dataset / run.setup / "split.safetensors")
    check_model_file(folder / "model.safetensors", history)
    model = load_trained(folder / "model.safetensors", run, split, device)
    item_index = {name: index for index, name in enumerate(interactions.item_ids)}
    user_index = {name: index for index, name in enumerate(interactions.user_ids)}
    known = [[item_index[name] for name in history if name in item_index] for history in histories]
    trained = model.data.sequences.lengths.cpu().numpy() > 0
    indices = [user_index.get(user, -1) if user is not None else -1 for user in users]
    indices = [index if index >= 0 and trained[index] else -1 for index in indices]
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in known])])
    values = np.array([item for history in known for item in history], dtype=np.int64)
    batch = QueryBatch(torch.tensor(indices, device=device), Sequences.from_numpy(values, offsets, device))
    with torch.no_grad():
        scores = model.scores(batch, model.item_vectors()).clone()
    if _removes_seen(folder, run):
        remove_seen_(scores, batch.histories)
    best = top_items(scores, k)
    offered = scores.gather(1, best) > -torch.inf  # what was removed stays away, even where k asks for more
    return [
        Recommendation([str(interactions.item_ids[item]) for item in row], [n for n in history if n not in item_index])
        for row, history in zip((r[o].tolist() for r, o in zip(best, offered, strict=True)), histories, strict=True)
    ]
