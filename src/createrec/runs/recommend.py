"""What a trained run recommends, in the dataset's own ids (paper, Section 5.4: no folding-in is needed)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from createrec.data.batch import QueryBatch
from createrec.data.interactions import Interactions
from createrec.data.split import Split
from createrec.errors import ConfigError, DataError
from createrec.files import atomic_path
from createrec.matching import Preparations
from createrec.ops.ragged import Sequences
from createrec.ops.ranking import remove_seen_, top_items
from createrec.plan import Run
from createrec.runs.run import check_model_file, load_trained, run_of_slice
from createrec.written import RecordFile, TrainingFile, read_description, read_written

T = TypeVar("T")

BLOCK_SCORES = 20_000_000
"""About so many scores are made at once."""


@dataclass(frozen=True)
class Question:
    """Whom to recommend to.

    Attributes:
        user: an id of the dataset; None for somebody new.
        history: item ids, oldest first; None = all that the dataset holds of the user.
    """

    user: str | None
    history: Sequence[str] | None


@dataclass(frozen=True)
class Recommendation:
    """The answer to one question.

    Attributes:
        items: best first.
        unknown: ids of the history that the catalogue does not know; they were left out.
        popularity: the model has nothing to say here, and these are the most popular items of the training.
    """

    user: str | None
    items: list[str]
    unknown: list[str]
    popularity: bool


def _removes_seen(folder: Path, run: Run) -> bool:
    """As the run is evaluated; its training may not know (the rules give a training no evaluation switches)."""
    record = folder / "record.json"
    evaluation = read_written(record, RecordFile).get("evaluation") if record.exists() else run.evaluation
    if not isinstance(evaluation, dict):
        raise DataError(f"{record}: not a record; delete it and evaluate the run again")
    return evaluation.get("remove_seen", True)


class TrainedRun:
    """A trained run, with what is needed to answer in the dataset's ids.

    Args:
        folder: a run's folder, results/runs/DATASET/MODEL/VARIANT/seedN.
        device: where to score.

    Raises:
        ConfigError: the folder is no trained run.
        DataError: its dataset is not at hand, or is not the one that it learned from.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        training = folder / "training.json"
        if not training.exists():
            raise ConfigError(
                f"{folder}: not a trained run (no training.json); expected results/runs/DATASET/MODEL/VARIANT/seedN"
            )
        history = read_written(training, TrainingFile)
        self.run = run_of_slice(history.get("run", {}))
        results = folder.resolve().parents[4]
        self.interactions = Interactions.load(results / "data" / self.run.dataset / "interactions.parquet")
        self.split = Split.load(results / "splits" / self.run.dataset / self.run.setup / "split.safetensors")
        self._check_ids(results)
        check_model_file(folder / "model.safetensors", history)
        self.model = load_trained(folder / "model.safetensors", self.run, self.split, device)
        self.removes_seen = _removes_seen(folder, self.run)
        self._item_index = {name: index for index, name in enumerate(self.interactions.item_ids)}
        self._user_index = {name: index for index, name in enumerate(self.interactions.user_ids)}
        self._trained = self.model.data.sequences.lengths.cpu().numpy() > 0
        self._device = device

    def _check_ids(self, results: Path) -> None:
        """The split speaks of users and items by number: with ids of another preparation it would name others."""
        found, split = self.interactions, self.split
        paths = Preparations(results / "data", results / "splits").files(self.run.dataset, self.run.setup)
        told = [read_description(path).get("dataset_hash") for path in paths.values() if path.exists()]
        counts = (found.users, found.items, len(found)) == (split.users, split.item_count, len(split.items))
        if not counts or len(set(told)) > 1:
            raise DataError(
                f"{self.run.dataset}: was prepared again since it was split for this run; train the run again"
            )

    @property
    def users(self) -> list[str]:
        """Every user of the dataset."""
        return list(self.interactions.user_ids)

    def answers(self, questions: Iterable[Question], k: int) -> Iterator[Recommendation]:
        """The k best items for each question, in order; fewer where fewer are left to recommend.

        Where seen items leave the ranking, neither an item of the history nor one that the dataset holds of the user
        is recommended. Without a history (or with unknown ids alone) the most popular training items answer; models of
        users (LightGCN, UltraGCN, SVD) answer for users of the training, and with popularity for everyone else.

        Raises:
            ConfigError: a question about a user's own history names nobody of the dataset.
        """
        for block in _blocks(questions, max(1, BLOCK_SCORES // self.interactions.items)):
            yield from self._answer(block, k)

    def _own(self, user: int) -> np.ndarray:
        """All items that the dataset holds of a user, oldest first."""
        return self.split.items[self.split.offsets[user] : self.split.offsets[user + 1]]

    def _answer(self, questions: Sequence[Question], k: int) -> Iterator[Recommendation]:
        users, histories, unknown, seen = [], [], [], []
        for question in questions:
            user = self._user_index.get(question.user, -1) if question.user is not None else -1
            if question.history is None and user < 0:
                raise ConfigError(f"{self.run.dataset} has no user '{question.user}'; name one of its raw file")
            own = self._own(user) if user >= 0 else np.empty(0, dtype=np.int64)
            named = question.history if question.history is not None else ()
            known = [self._item_index[name] for name in named if name in self._item_index]
            histories.append(own if question.history is None else np.array(known, dtype=np.int64))
            seen.append(np.concatenate([own, np.array(known, dtype=np.int64)]))
            unknown.append([name for name in named if name not in self._item_index])
            users.append(user if user >= 0 and self._trained[user] else -1)
        batch = QueryBatch(torch.tensor(users, device=self._device), self._ragged(histories))
        with torch.no_grad():
            scores = self.model.scores(batch, self.model.item_vectors()).clone()
        if self.removes_seen:
            remove_seen_(scores, self._ragged(seen))
        best = top_items(scores, k)
        offered = scores.gather(1, best) > -torch.inf  # what was removed stays away, even where k asks for more
        for place, question in enumerate(questions):
            items = self.interactions.item_ids[best[place][offered[place]].cpu().numpy()]
            stateless = (self.model.needs_known_user and users[place] < 0) or (
                self.model.needs_history and not len(histories[place])
            )
            yield Recommendation(question.user, [str(item) for item in items], unknown[place], stateless)

    def _ragged(self, rows: Sequence[np.ndarray]) -> Sequences:
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        return Sequences.from_numpy(np.concatenate([np.empty(0, dtype=np.int64), *rows]), offsets, self._device)


def _blocks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(values)
    while block := list(islice(iterator, size)):
        yield block


SCHEMA = pa.schema({"user": pa.string(), "rank": pa.int32(), "item": pa.string(), "popularity": pa.bool_()})


def write_lists(answers: Iterable[Recommendation], path: Path) -> int:
    """Writes lists as one parquet file, a row per item (rank 1 = best); returns the number of lists."""
    lists = 0
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as file:
        for block in _blocks(answers, 10_000):
            rows = [
                (answer.user, rank, item, answer.popularity)
                for answer in block
                for rank, item in enumerate(answer.items, start=1)
            ]
            columns = {name: [row[place] for row in rows] for place, name in enumerate(SCHEMA.names)}
            file.write_table(pa.table(columns, schema=SCHEMA))
            lists += len(block)
    return lists
