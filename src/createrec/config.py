"""The typed configuration: the only source of keys and defaults.

`config.yaml` is the paper as data; overlays narrow or widen it (maps merge, lists replace). Every class
here forbids keys it does not know, so a misspelt key is an error and never a silent default. The JSON
schema in `workflow/schemas/` is generated from these classes (`createrec schema`). Who adds a setting of a model or a
switch of the evaluation adds what the code did before to `matching.ADDED_SETTINGS`: older records stay true.
"""

import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    RootModel,
    Tag,
    ValidationError,
    model_validator,
)

from createrec.data import registry
from createrec.errors import ConfigError, known_names
from createrec.exhibits import EXHIBITS, SWEPT
from createrec.kinds import choice, kind, name_of, of_role, stand_alone


def _number(value: Any) -> Any:
    """YAML reads `yes`, `no`, `on` and `off` as truth values, which would count as 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number, not yes or no")
    return value


_NotTruth = BeforeValidator(_number)
Fraction = Annotated[float, Field(ge=0, lt=1), _NotTruth]
Positive = Annotated[float, Field(gt=0), _NotTruth]
Weight = Annotated[float, Field(ge=0), _NotTruth]
Count = Annotated[int, Field(ge=1), _NotTruth]
Seeds = tuple[Annotated[int, _NotTruth], ...]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Names of datasets, models and variants: they become folders and words of commands, and no more than that."""
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=100)]


Value = TypeVar("Value")


def resolved(value: Value | None, setting: str) -> Value:
    """A setting that is null in a file and has its value in a resolved run (`plan.resolve`).

    Raises:
        ConfigError: it is null.
    """
    if value is None:
        raise ConfigError(f"{setting} is null: give the settings of a resolved run, or a value")
    return value


class Strict(BaseModel):
    """Frozen, and no key but the declared ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="after")
    def _listed_once(self) -> Self:
        """A seed that stands twice counts as two, with no deviation between them; a model has two columns."""
        for name in type(self).model_fields:
            listed = getattr(self, name)
            if isinstance(listed, tuple) and (twice := [one for n, one in enumerate(listed) if one in listed[:n]]):
                raise ValueError(f"{name}: {json.dumps(twice[0])} stands there twice; name each once")
        return self


# --- training -----------------------------------------------------------------------------------------------------


class TrainingConfig(Strict):
    """How the parameters are fitted; the same keys for every trainable model."""

    epochs: Count = Field(50, description="epochs of the joint phase (of the only phase, where there is one)")
    patience: Count = Field(10, description="epochs without a better validation NDCG@10 before a tuning run stops")
    batch_size: Count = Field(256, description="users per step, for models with a sequence side")
    edge_batch_size: Count = Field(2048, description="interactions per step, for phases that train the graph alone")
    learning_rate: Positive = 1e-3
    beta2: Annotated[float, Field(gt=0, lt=1)] = Field(0.999, description="second-moment decay of Adam")
    weight_decay: Weight = Field(0.0, description="decoupled (AdamW)")
    gradient_clip: Weight = Field(0.0, description="limit of the gradient's norm; 0 = none")


# --- losses of the sequence side ------------------------------------------------------------------------------------


class SequenceLossConfig(Strict):
    """What every loss of the sequence side is: a function of states, item table and targets."""


@kind("loss", "full cross-entropy", "createrec.losses.cross_entropy:full_cross_entropy")
class CrossEntropyConfig(SequenceLossConfig):
    """Full softmax over the catalogue (paper, Section 3.3)."""

    kind: Literal["full"] = "full"


@kind("loss", "full cross-entropy in bfloat16", "createrec.losses.cross_entropy:full_bfloat16_cross_entropy")
class BFloat16CrossEntropyConfig(SequenceLossConfig):
    """Full softmax with its products in bfloat16, on processors with instructions for it: faster, and less exact."""

    kind: Literal["full_bfloat16"] = "full_bfloat16"


@kind("loss", "SCE", "createrec.losses.cross_entropy:scalable_cross_entropy")
class ScalableCrossEntropyConfig(SequenceLossConfig):
    """SCE (Mezentsev et al., RecSys 2024), for catalogues whose full logits do not fit (paper, Section 3.3)."""

    kind: Literal["scalable"] = "scalable"
    bucket_factor: Positive = Field(2.0, description="buckets and outputs a bucket: floor(factor * sqrt(targets))")
    bucket_items: Count = Field(256, description="items a bucket")
    mix: bool = Field(True, description="centres are random mixtures of the outputs, not Gaussian vectors")


@kind("loss", "sampled cross-entropy", "createrec.losses.cross_entropy:sampled_cross_entropy")
class SampledCrossEntropyConfig(SequenceLossConfig):
    """Softmax over the target and uniform negatives shared by the batch (after Klenitskiy and Vasilev, RecSys 2023)."""

    kind: Literal["sampled"] = "sampled"
    negatives: Count = 3000


@kind("loss", "binary cross-entropy", "createrec.losses.cross_entropy:binary_cross_entropy")
class BinaryCrossEntropyConfig(SequenceLossConfig):
    """The original SASRec's loss, with uniform negatives a position."""

    kind: Literal["binary"] = "binary"
    negatives: Count = 1


if TYPE_CHECKING:
    SequenceLoss = SequenceLossConfig
else:
    SequenceLoss = choice("loss", SequenceLossConfig)


# --- sequence encoders --------------------------------------------------------------------------------------------


class SequenceEncoderConfig(Strict):
    """What every encoder of a history needs."""

    max_length: Count | None = Field(None, description="last items of a history; null = the dataset's own")
    dropout: Fraction = 0.3
    loss: SequenceLoss = CrossEntropyConfig()


class TransformerEncoderConfig(SequenceEncoderConfig):
    """What every Transformer over a history needs."""

    positions: Literal["newest", "oldest"] = Field(
        "newest", description="the item that has position 0: the newest (left padding) or the oldest (right padding)"
    )
    blocks: Count = 2
    heads: Count = 2


@kind("sequence", "SASRec", "createrec.models.sasrec:SASRecEncoder")
class SASRecEncoderConfig(TransformerEncoderConfig):
    """Causal Transformer (paper, Section 3.3)."""

    kind: Literal["sasrec"] = "sasrec"
    block_order: Literal["query_norm", "pre_norm"] = Field(
        "query_norm", description="query_norm: the block the authors' group runs; pre_norm: the standard block"
    )
    feedforward_factor: Count = Field(1, description="inner size of the feed-forward layer, in dimensions")


@kind("sequence", "BERT4Rec", "createrec.models.bert4rec:BERT4RecEncoder")
class BERT4RecEncoderConfig(TransformerEncoderConfig):
    """Bidirectional Transformer trained by masking (paper, Section 3.3)."""

    kind: Literal["bert4rec"] = "bert4rec"
    max_length: Annotated[int, Field(ge=2)] | None = Field(None, description="as above; [MASK] takes one position")
    mask_probability: Annotated[float, Field(gt=0, lt=1)] = 0.2
    feedforward_factor: Count = 4
    attention_dropout: Fraction | None = Field(None, description="of the attention's weights; null = dropout")
    inner_dropout: Fraction | None = Field(None, description="between the feed-forward's two layers; null = dropout")
    attention_start: Literal["xavier", "normal"] = Field(
        "xavier", description="first values of query, key and value; normal: N(0, 0.02) like the rest, as in BERT"
    )


@kind("sequence", "GRU4Rec", "createrec.models.gru4rec:GRU4RecEncoder")
class GRU4RecEncoderConfig(SequenceEncoderConfig):
    """Recurrent network (a baseline of "Time to Split", RecSys 2025)."""

    kind: Literal["gru4rec"] = "gru4rec"
    layers: Count = 1


# --- graph encoders -----------------------------------------------------------------------------------------------


class GraphEncoderConfig(Strict):
    """Which interactions are edges (paper, Section 5.1): at most one of the two limits."""

    graph_last: Count | None = Field(None, description="edges: the last N training interactions of each user")
    graph_percent: Annotated[int, Field(ge=1, le=100)] | None = Field(None, description="... or the last n percent")

    @model_validator(mode="after")
    def _one_limit(self) -> "GraphEncoderConfig":
        if self.graph_last is not None and self.graph_percent is not None:
            raise ValueError("graph_last and graph_percent exclude each other: set one to null")
        return self


@kind("graph", "LightGCN", "createrec.models.lightgcn:LightGCNEncoder")
class LightGCNEncoderConfig(GraphEncoderConfig):
    """LightGCN (paper, Section 3.4)."""

    kind: Literal["lightgcn"] = "lightgcn"
    layers: Count = 3
    l2: Weight = Field(1e-4, description="weight of the batch's squared layer-0 embeddings")


class UltraGCNTrainingConfig(TrainingConfig):
    # It learns popularity first and stays there for thousands of steps, in which validation does not rise.
    patience: Count = Field(50, description="epochs without a better validation NDCG@10 before a tuning run stops")
    edge_batch_size: Count = Field(1024, description="interactions per step")


@kind("graph", "UltraGCN", "createrec.models.ultragcn:UltraGCNEncoder", training=UltraGCNTrainingConfig)
class UltraGCNEncoderConfig(GraphEncoderConfig):
    """UltraGCN (paper, Section 3.4, Eq. 1). The names say what they weigh, because lambda and gamma change places
    between the paper and the authors' code.
    """

    kind: Literal["ultragcn"] = "ultragcn"
    negatives: Count = Field(200, description="sampled items of each edge")
    negatives_shared_by: Count | None = Field(
        64, description="edges of a step that share their sampled items; 1 = each has its own, null = the whole batch"
    )
    initial_std: Positive = Field(
        0.1, description="standard deviation of the user table's start (and of the item table's, where it is alone)"
    )
    negative_weight: Weight = Field(10.0, description="weight of the mean over the negatives")
    positive_base_weight: Weight = Field(1e-7, description="L_O's weight of a positive (w1)")
    positive_degree_weight: Weight = Field(1.0, description="L_C's weight of a positive, times beta (w2)")
    negative_base_weight: Weight = Field(1e-7, description="L_O's weight of a negative (w3)")
    negative_degree_weight: Weight = Field(1.0, description="L_C's weight of a negative, times beta (w4)")
    item_weight: Weight = Field(1.0, description="L_I's weight: neighbours of the positive are pulled to the user")
    item_neighbours: Count = Field(10, description="co-occurrence neighbours of an item in L_I")
    l2: Weight = Field(1e-4, description="weight of the batch's squared embeddings")


@kind("graph", "BPR-MF", "createrec.models.bprmf:BPRMFEncoder")
class BPRMFEncoderConfig(GraphEncoderConfig):
    """BPR-MF: matrix factorisation with a pairwise loss (beyond the paper)."""

    kind: Literal["bprmf"] = "bprmf"
    l2: Weight = Field(1e-4, description="weight of the batch's squared embeddings")


# --- alignment ----------------------------------------------------------------------------------------------------


class AlignmentConfig(Strict):
    """What pulls a user's state and the user's graph vector together: a function of both, with a weight in the sum."""

    if TYPE_CHECKING:
        kind: str
    #: Which setting is the weight of the term; a new alignment calls it `weight`.
    weight_setting: ClassVar[str] = "weight"

    @property
    def term_weight(self) -> float:
        """The weight of the term in the joint loss; 0 = it is not computed."""
        return getattr(self, self.weight_setting)


@kind("alignment", "None", None)
class NoAlignmentConfig(AlignmentConfig):
    """The two encoders meet in the item table only (Table 4, row None)."""

    kind: Literal["none"] = "none"

    @property
    def term_weight(self) -> float:
        return 0.0


@kind("alignment", "Contrastive", "createrec.losses.contrastive:info_nce")
class ContrastiveAlignmentConfig(AlignmentConfig):
    """Symmetric InfoNCE (Table 4, row Contrastive)."""

    weight_setting = "contrastive_weight"
    kind: Literal["contrastive"] = "contrastive"
    contrastive_weight: Weight = 0.1
    temperature: Positive = 0.5


@kind("alignment", "Barlow Twins", "createrec.losses.barlow_twins:barlow_twins")
class BarlowTwinsConfig(AlignmentConfig):
    """Barlow Twins (paper, Eq. 2-3)."""

    weight_setting = "barlow_weight"
    kind: Literal["barlow"] = "barlow"
    barlow_weight: Weight = Field(0.2, description="w_BT of Eq. 5")
    off_diagonal_weight: Weight = Field(0.005, description="lambda of Eq. 3")
    scale: Literal["sum", "per_dimension"] = Field(
        "per_dimension", description="sum: Eq. 3 as written; per_dimension: both sums divided by d"
    )


if TYPE_CHECKING:
    Alignment = AlignmentConfig
else:
    Alignment = choice("alignment", AlignmentConfig)


# --- models -------------------------------------------------------------------------------------------------------


class ModelConfig(Strict):
    """Base of all models' settings; `kind` names the model."""

    kind: str


class TrainableConfig(ModelConfig):
    dimension: Count = Field(64, description="d, width of the item table")
    training: TrainingConfig = TrainingConfig()


@kind("model", "Random", "createrec.models.random:Random")
class RandomConfig(ModelConfig):
    """K items uniformly without replacement (Table 2, Random)."""

    kind: Literal["random"] = "random"


@kind("model", "PopRnd", "createrec.models.popularity:PopRnd")
class PopRndConfig(ModelConfig):
    """K items without replacement with probability proportional to the training count (Table 2, PopRnd)."""

    kind: Literal["poprnd"] = "poprnd"


@kind("model", "SVD", "createrec.models.svd:SVD")
class SVDConfig(ModelConfig):
    """PureSVD (Table 2, SVD)."""

    kind: Literal["svd"] = "svd"
    rank: Count = 64
    popularity_scaling: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="s: columns are scaled by count^((s-1)/2); 1 = plain PureSVD"
    )
    fold_in: bool = Field(False, description="score with the history at query time, not the training row")


stand_alone("sequence", "createrec.models.sequence_alone:SequenceRecommender", TrainableConfig)
stand_alone("graph", "createrec.models.graph_alone:GraphRecommender", TrainableConfig)

if TYPE_CHECKING:
    SequenceEncoderChoice = SequenceEncoderConfig
    GraphEncoderChoice = GraphEncoderConfig
else:
    SequenceEncoderChoice = choice("sequence", SequenceEncoderConfig)
    GraphEncoderChoice = choice("graph", GraphEncoderConfig)


@kind("model", "CREATE", "createrec.models.create:Create")
class CreateConfig(TrainableConfig):
    """CREATE (paper, Sections 3.5-3.6)."""

    kind: Literal["create"] = "create"
    sequence: SequenceEncoderChoice = SASRecEncoderConfig()
    graph: GraphEncoderChoice = UltraGCNEncoderConfig()
    alignment: Alignment = BarlowTwinsConfig()
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(30, description="N_warmup: epochs of the graph loss alone")
    global_weight: Weight = Field(0.1, description="w_global of Eq. 5")


class GSAUTrainingConfig(TrainingConfig):
    batch_size: Count = Field(512, description="prefixes per step; the edges are spread over the same steps")


@kind("model", "GSAU", "createrec.models.gsau:GSAU")
class GSAUConfig(TrainableConfig):
    """GSAU (Cao et al., WWW 2025 Companion); Table 3."""

    kind: Literal["gsau"] = "gsau"
    training: GSAUTrainingConfig = GSAUTrainingConfig()
    max_length: Count | None = None
    blocks: Count = 2
    heads: Count = 2
    feedforward_factor: Count = 4
    dropout: Fraction = 0.5
    layers: Count = Field(2, description="hops of the graph encoder, apart from the Transformer's depth")
    sequence_alignment: Literal["softmax", "distance"] = Field(
        "softmax", description="softmax: GSAU (rec), the authors' better variant; distance: squared distance"
    )
    uniformity_weight: Weight = Field(0.1, description="gamma: weight of all five uniformity terms")


class MRGSRecTrainingConfig(TrainingConfig):
    batch_size: Count = Field(128, description="users per step, as in the runs behind Table 2")


@kind("model", "MRGSRec", "createrec.models.mrgsrec:MRGSRec")
class MRGSRecConfig(TrainableConfig):
    """MRGSRec (Baikalov and Frolov, WWW 2024 Companion); Table 2."""

    kind: Literal["mrgsrec"] = "mrgsrec"
    training: MRGSRecTrainingConfig = MRGSRecTrainingConfig()
    max_length: Count | None = Field(10, description="the authors' 10 for every dataset; null = the dataset's own")
    blocks: Count = 2
    heads: Count = 2
    feedforward_dimension: Count = 256
    dropout: Fraction = 0.3
    layers: Count = Field(1, description="hops of the graph side")
    graph_mixing: Annotated[float, Field(ge=0, le=1)] = Field(0.5871, description="eta")
    local_weight: Weight = 0.6745
    global_weight: Weight = 0.9557
    fused_weight: Weight = 0.2063
    contrastive_weight: Weight = 0.2010
    causal_user_token: bool = Field(False, description="true closes the label leak of the two-way user token")


class SelfGNNTrainingConfig(TrainingConfig):
    batch_size: Count = Field(512, description="users per step")


@kind("model", "Self-GNN", "createrec.models.selfgnn:SelfGNN")
class SelfGNNConfig(TrainableConfig):
    """Self-GNN (Liu et al., SIGIR 2024); Table 3."""

    kind: Literal["selfgnn"] = "selfgnn"
    training: SelfGNNTrainingConfig = SelfGNNTrainingConfig()
    max_length: Count | None = None
    intervals: Count = Field(5, description="G: equal-width intervals of the training period")
    layers: Count = 3
    attention_layers: Count = 4
    heads: Count = 16
    keep_probability: Annotated[float, Field(gt=0, le=1)] = 0.5
    slope: Weight = Field(0.5, description="of every LeakyReLU")
    instance_level: Literal["summed", "tokens"] = Field(
        "summed", description="summed: as in the authors' code, one token; tokens: as in their paper"
    )
    negatives: Count = Field(40, description="uniform items per user, against the newest training item")
    pairs: Count = Field(80, description="self-augmented pairs per user and interval, at most")
    augmentation_dimension: Count = 32
    augmentation_weight: Weight = 1e-6
    l2: Weight = Field(1e-2, description="weight of the summed squares of whole tables, at each step")


@kind("model", "Most popular", "createrec.models.popular:Popular")
class PopularConfig(ModelConfig):
    """Most popular items (beyond the paper)."""

    kind: Literal["popular"] = "popular"


@kind("model", "Markov", "createrec.models.markov:Markov")
class MarkovConfig(ModelConfig):
    """First-order Markov chain over items (beyond the paper)."""

    kind: Literal["markov"] = "markov"
    window: Count = Field(
        1, description="how far behind an item its successors may stand; at distance d one counts 1/d"
    )
    popularity_weight: Weight = Field(0.01, description="weight of an item's share of all rows")


@kind("model", "Item-kNN", "createrec.models.itemknn:ItemKNN")
class ItemKNNConfig(ModelConfig):
    """Item-kNN with cosine similarity (beyond the paper)."""

    kind: Literal["itemknn"] = "itemknn"
    neighbours: Count = Field(200, description="most similar items that speak for an item")
    shrinkage: Weight = Field(10.0, description="added to the cosine's denominator: less trust in rare items")


@kind("model", "EASE", "createrec.models.ease:EASE")
class EASEConfig(ModelConfig):
    """EASE, a linear autoencoder in closed form (beyond the paper)."""

    kind: Literal["ease"] = "ease"
    l2: Positive = 100.0


@kind("model", "LOOM", "createrec.models.loom:LOOM", remark="reconstruction")
class LOOMConfig(TrainableConfig):
    """LOOM (reconstruction): Li et al., CIKM 2025; Table 3."""

    kind: Literal["loom"] = "loom"
    sequence: SASRecEncoderConfig = SASRecEncoderConfig()
    window: Count = 3
    neighbours: Count = 20
    layers: Count = 2
    recency: Positive | None = Field(10.0, description="tau_r, in positions; null = no decay")
    temperature: Positive = 2.0
    guidance_weight: Weight = Field(0.1, description="lambda: weight of the one-way KL divergence")
    fused_weight: Weight = Field(0.0, description="beta: weight of the fused score's cross-entropy")
    late_fusion_weight: Weight = Field(0.1, description="alpha: the carrier's share of the score at inference")


if TYPE_CHECKING:
    Model = ModelConfig
else:
    Model = choice("model", ModelConfig)


class ModelSettings(Strict):
    """One model's settings on their own, told apart by `kind`."""

    model: Model


# --- data, split, evaluation --------------------------------------------------------------------------------------


Column = str | Annotated[int, Field(ge=1)]
"""A column's name, or its number, counted from 1, in a file without a header."""
READERS = (
    "table",
    "json_lines",
    "amazon_reviews",
    "movielens",
    "recbole",
    "yambda_likes",
    # A format of your own goes here: docs/extending.md
)
"""The formats that can be read; each has its file in `createrec.readers`."""
if TYPE_CHECKING:
    Reader = str
else:
    Reader = Literal[READERS]


class FileConfig(Strict):
    """How a raw file is written, and which of its columns count."""

    reader: Reader = Field(
        "table", description="table: CSV, TSV and the like, or parquet; the others have columns of their own"
    )
    user: Column | None = Field(None, description="null = `user`, or what the reader knows")
    item: Column | None = Field(None, description="null = `item`, or what the reader knows")
    time: Column | None = Field(None, description="null = `time`, or what the reader knows")
    rating: Column | None = Field(None, description="read if filters.minimum_rating is set")
    event: Column | None = Field(None, description="kind of each row, read if filters.events is set")
    separator: Annotated[str, Field(min_length=1, max_length=20)] | None = Field(
        None, description='between columns: any text, or "blanks" (one or more); null = found from the first line'
    )
    quoting: Literal["within_lines", "across_lines", "none"] = Field(
        "within_lines",
        description='fields in " that end on their line, fields in " that may go on over lines, or " is a character',
    )
    empty_ids: Literal["refuse", "leave_out"] = Field("refuse", description="rows whose user or item is empty")
    ids: Literal["check", "as_written", "cleaned"] = Field(
        "check",
        description="ids that differ in blanks, a final .0 or invisible characters alone: refused, kept apart, or one",
    )

    @model_validator(mode="after")
    def _columns_fit(self) -> "FileConfig":
        given = {role: getattr(self, role) for role in ("user", "item", "time", "rating", "event")}
        named = {role: column for role, column in given.items() if column is not None}
        if len(set(named.values())) != len(named):
            raise ValueError("two of user, item, time, rating and event name the same column")
        numbered = [isinstance(column, int) for column in named.values()]
        if any(numbered):
            if self.reader != "table":
                raise ValueError(f"column numbers are for reader: table, not for {self.reader}")
            if not all(numbered) or not {"user", "item", "time"} <= set(named):
                raise ValueError("a file without a header needs column numbers for user, item and time, and no names")
        if self.reader in ("movielens", "yambda_likes") and named:
            raise ValueError(f"reader: {self.reader} knows its columns; leave out {', '.join(named)}")
        return self


class OwnFileConfig(FileConfig):
    """Anyone's own file: CSV, TSV, `::`, JSON lines or parquet, plain or as an archive of one file."""

    path: str


Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:\d\d)?)?$")]
"""An ISO date, with or without a time of day."""


class FiltersConfig(Strict):
    """Rows that leave before the split, in this order. What each took is in dataset.json and in every record."""

    events: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None, description="rows of other event types leave; the file needs `event`"
    )
    minimum_rating: float | None = Field(None, description="rows with a lower rating leave")
    since: Moment | None = Field(None, description="rows before this date leave")
    before: Moment | None = Field(None, description="rows at this date or later leave")
    first_of_repeats: bool = Field(False, description="of a user's rows with one item only the first in time stays")
    user_core: Count | None = Field(None, description="users with fewer rows leave, again until nothing changes")
    item_core: Count | None = Field(None, description="items with fewer rows leave, again until nothing changes")

    @property
    def active(self) -> bool:
        """Whether any filter is set."""
        return self != FiltersConfig()

    def __str__(self) -> str:
        """The filters that are set, for a label: `user_core 5, item_core 5`."""
        return ", ".join(f"{name} {value}" for name, value in self.model_dump(exclude_defaults=True).items())


class DatasetConfig(Strict):
    """One dataset. Without `file` the name must stand in the registry, or be `demo`."""

    max_length: Count = Field(50, description="last items of a history that a sequence model reads")
    loss: SequenceLoss | None = Field(
        None, description="training loss of SASRec, unless its own settings name one; null = full (paper, Section 3.3)"
    )
    remove_seen: bool = Field(True, description="items of the history leave the ranking")
    allow_count_mismatch: bool = Field(False, description="go on, labelled, when the counts differ from Table 1")
    file: OwnFileConfig | None = None
    filters: FiltersConfig = FiltersConfig()


class DataConfig(Strict):
    mirror: str | None = Field(None, description="folder or URL prefix with its own SHA256SUMS; see CREATEREC_MIRROR")


class TemporalSetup(Strict):
    """Global temporal split (paper, Section 4.2; facts in docs/protocol.md)."""

    kind: Literal["temporal"] = "temporal"
    test_quantile: Annotated[float, Field(gt=0, lt=1)] = 0.8
    validation_quantile: Annotated[float, Field(gt=0, lt=1)] = 0.9
    minimum_interactions: Annotated[int, Field(ge=1)] = Field(3, description="users with fewer rows are dropped")
    retrain: bool = Field(True, description="false: the tested model is the one that was stopped on validation")
    new_users: bool = Field(False, description="users without training rows are asked about, too")
    validation_users: Count | None = Field(None, description="validation users drawn from all of them; null = all")

    @model_validator(mode="after")
    def _all_new_users(self) -> "TemporalSetup":
        if self.new_users and self.minimum_interactions != 1:
            raise ValueError("new_users asks about every user: set minimum_interactions to 1")
        return self


class TimeToSplitSetup(TemporalSetup):
    """The global temporal split of "Time to Split" (arXiv 2507.16289), whose published numbers ours are checked against
    (docs/validation.md).
    """

    kind: Literal["time-to-split"] = "time-to-split"  # type: ignore[assignment]  # another setup, with the same settings
    test_quantile: Annotated[float, Field(gt=0, lt=1)] = 0.9
    minimum_interactions: Annotated[int, Field(ge=1)] = Field(1, description="users with fewer rows are dropped")
    retrain: bool = Field(False, description="false: the tested model is the one that was stopped on validation")
    new_users: bool = Field(True, description="users without training rows are asked about, too")
    validation_users: Count | None = Field(1024, description="validation users drawn from all of them; null = all")


class LeaveOneOutSetup(Strict):
    """Last item tested, last but one for validation (the LOOM setup, Table 3)."""

    kind: Literal["leave-one-out"] = "leave-one-out"


class SetupsConfig(Strict):
    temporal: TemporalSetup = TemporalSetup()
    leave_one_out: LeaveOneOutSetup = Field(LeaveOneOutSetup(), alias="leave-one-out")
    time_to_split: TimeToSplitSetup = Field(TimeToSplitSetup(), alias="time-to-split")


class EvaluationConfig(Strict):
    """Full-catalogue ranking of one target per user; the switches change queries only, never the trained model."""

    cutoffs: Annotated[tuple[Count, ...], Field(min_length=1)] = (10, 100)
    target: Literal["last", "first", "random"] = "last"
    target_draws: Count = Field(1, description="random targets: metrics are means over so many draws of them")
    history_strict: bool = Field(False, description="history ends before the target's time stamp")
    drop_cold_items: bool = Field(False, description="items unseen in training leave targets and histories")
    remove_seen: bool | None = Field(None, description="null = the dataset's own setting")
    without_history: Literal["ask", "skip", "next"] = Field(
        "ask",
        description="a target that nothing precedes: ask (popularity answers), skip the user, or take the user's next",
    )
    coverage_of: Literal["catalogue", "training"] = Field(
        "catalogue", description="what Coverage divides by: all items, or those of the training rows"
    )


# --- what is run --------------------------------------------------------------------------------------------------


if TYPE_CHECKING:
    SequenceEncoderName = str
    GraphEncoderName = str
    AlignmentName = str
else:
    SequenceEncoderName, GraphEncoderName, AlignmentName = map(name_of, ("sequence", "graph", "alignment"))


class TableConfig(Strict):
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    seeds: Seeds


class SweepConfig(Strict):
    """One ablation over one number."""

    datasets: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    seeds: Seeds = ()


class AlignmentAblation(Strict):
    datasets: tuple[str, ...] = ()
    graphs: tuple[GraphEncoderName, ...] = ()
    alignments: tuple[AlignmentName, ...] = ()
    seeds: Seeds = ()


class BackboneAblation(Strict):
    datasets: tuple[str, ...] = ()
    sequences: tuple[SequenceEncoderName, ...] = ()
    graphs: tuple[GraphEncoderName, ...] = ()
    seeds: Seeds = ()


class CurvesConfig(Strict):
    datasets: tuple[str, ...]
    seeds: Seeds


class OtherTraining(Strict):
    """Models of Table 2 trained under another reading."""

    datasets: tuple[str, ...]
    models: tuple[str, ...]
    settings: dict[str, Any] = Field(default_factory=dict, description="of the model, or of its sequence encoder")
    shown_as: str | None = Field(None, description="the model of Table 2 whose reading it is; null = the model itself")


class SensitivityConfig(Strict):
    """What the paper leaves open and only another training can show (docs/protocol.md)."""

    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = Field((), description="models of sequences")
    max_lengths: tuple[Count, ...] = Field((), description="beside the model's own")
    trainings: dict[str, OtherTraining] = Field(
        default_factory=dict, description="reading, as it is shown (`positions=oldest`) -> trainings"
    )
    seeds: Seeds = ()


class PublishedGrid(Strict):
    """A model of others, and those points of their grid that are trained again (docs/validation.md)."""

    settings: dict[str, Any] = Field(default_factory=dict, description="ours that make the model theirs")
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        description="setting -> values; their points count the combinations from 0, the last setting fastest"
    )
    points: tuple[Annotated[int, Field(ge=0)], ...]

    @model_validator(mode="after")
    def _points_in_grid(self) -> "PublishedGrid":
        size = math.prod(len(values) for values in self.grid.values())
        if beyond := [point for point in self.points if point >= size]:
            raise ValueError(f"points {beyond}: the grid has {size}, counted from 0")
        return self

    def at(self, point: int) -> dict[str, Any]:
        """The settings of one point: those of the grid over the common ones."""
        values = next(itertools.islice(itertools.product(*self.grid.values()), point, None))
        return merge(self.settings, dict(zip(self.grid, values, strict=True)))


class ValidationConfig(Strict):
    """Trainings whose numbers others have published, in the setup `time-to-split` (docs/validation.md)."""

    datasets: tuple[str, ...] = ()
    models: dict[str, PublishedGrid] = Field(default_factory=dict)
    seeds: Seeds = ()


class ChoicesConfig(Strict):
    """Which models are tested under the settings that their search placed next to the chosen ones, too."""

    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seeds: Seeds = ()


class BeyondConfig(Strict):
    """Simple baselines that the paper does not have, beside its models."""

    datasets: tuple[str, ...] = Field((), description="split by time, beside Table 2")
    leave_one_out: tuple[str, ...] = Field((), description="datasets in the setup of Table 3")
    beside: tuple[str, ...] = Field((), description="models of the paper, where its table has them")
    models: tuple[str, ...] = Field((), description="simple baselines")
    seeds: Seeds = ()


class AblationsConfig(Strict):
    """The ablations of Section 5: the two over parts, and one over a number for each sweep in exhibits.py."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SweepConfig] = Field(init=False)

    alignment: AlignmentAblation = AlignmentAblation()
    backbone: BackboneAblation = BackboneAblation()

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: Any) -> Any:
        """What is not named is empty; what has no entry in exhibits.py is a mistake."""
        if not isinstance(given, Mapping):
            return given
        for name in given:
            if name not in (*cls.model_fields, *SWEPT):
                known = ", ".join((*SWEPT, *cls.model_fields))
                raise ValueError(f"unknown ablation '{name}'; known, from exhibits.py: {known}")
        return {name: {} for name in SWEPT} | dict(given)


class Choices(RootModel[Annotated[tuple[Any, ...], Field(min_length=1)]]):
    """Values of a searched setting, as a list."""

    model_config = ConfigDict(frozen=True)

    def contains(self, value: Any) -> bool:
        """Whether a study can propose this value."""
        return value in self.root


class ParameterRange(Strict):
    """A range of a searched setting; that of a whole-numbered setting is of whole numbers."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = Field(False, description="drawn evenly in the logarithm")

    @model_validator(mode="after")
    def _ascending(self) -> "ParameterRange":
        if not self.low < self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0, and excludes step")
        return self

    def contains(self, value: Any) -> bool:
        """Whether a study can propose this value."""
        if not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < 1e-6


# A list or a mapping, so that an overlay that writes one in place of the other replaces it.
Searched = Annotated[
    Annotated[Choices, Tag("choices")] | Annotated[ParameterRange, Tag("range")],
    Discriminator(lambda given: "range" if isinstance(given, Mapping | ParameterRange) else "choices"),
]


class SearchSpace(Strict):
    """What one study searches: setting, by its path, -> choices or range."""

    space: dict[str, Searched]


class TuningConfig(Strict):
    """One study per dataset and model, all with the same budget (paper, Section 4.2)."""

    trials: Count = Field(30, description="finished trials of a study; pruned and failed ones count")
    hours: Positive | None = Field(None, description="no trial starts after so many hours; null = the trials decide")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="of the proposals; every trial trains with seed 0")
    startup_trials: Count = Field(10, description="trials proposed at random, the first ones included, before TPE")
    max_epochs: Count = Field(200, description="of a trial's last phase; training.patience ends it earlier")
    pruning_trials: Count = Field(5, description="complete trials before any trial is pruned")
    pruning_epochs: Annotated[int, Field(ge=0)] = Field(
        10, description="epochs of a trial's last phase before it may be pruned"
    )
    finalists: Count = Field(3, description="best settings of a study that are trained with further seeds")
    finalist_seeds: Count = Field(3, description="seeds of each finalist, the study's own included; their mean chooses")
    workers: Count = Field(1, description="trials side by side on one device; above 1 their order is left to chance")
    search_all: bool = Field(False, description="CREATE searches its encoders' settings too, not only its own")
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    spaces: dict[str, dict[str, Searched]] = Field(
        default_factory=dict, description="model -> setting, by its path -> list of choices, or range"
    )
    first: dict[str, tuple[dict[str, Any], ...]] = Field(
        default_factory=dict,
        description="model -> trials after that of the defaults; what a trial leaves out is default",
    )

    @model_validator(mode="after")
    def _first_in_space(self) -> "TuningConfig":
        for model, trials in self.first.items():
            for name in sorted({name for trial in trials for name in trial}):
                if name not in self.spaces.get(model, {}):
                    raise ValueError(f"first.{model}: {name} is not searched; spaces.{model} does not name it")
        return self


class ProjectConfig(Strict):
    """The whole of config.yaml."""

    data: DataConfig = DataConfig()
    datasets: dict[Name, DatasetConfig]
    setups: SetupsConfig = SetupsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    models: dict[Name, Model]
    hparams: str | None = Field(None, description="folder of tuned settings; null = the models' own defaults")
    table1: tuple[str, ...]
    table2: TableConfig
    table3: TableConfig
    figure2: CurvesConfig
    ablations: AblationsConfig = AblationsConfig()
    sensitivity: SensitivityConfig = SensitivityConfig()
    choices: ChoicesConfig = ChoicesConfig()
    validation: ValidationConfig = ValidationConfig()
    beyond: BeyondConfig = BeyondConfig()
    tuning: TuningConfig = TuningConfig()

    _files: tuple[str, ...] = PrivateAttr(())

    @property
    def files(self) -> tuple[str, ...]:
        """The files that this configuration was read from, in order; none where it was made from plain values."""
        return self._files

    @model_validator(mode="before")
    @classmethod
    def _every_kind_is_a_model(cls, given: Any) -> Any:
        """A kind of model that no entry names is there under its own name, with its defaults."""
        if isinstance(given, Mapping) and isinstance(given.get("models"), Mapping):
            others = {name: {"kind": name} for name in of_role("model") if name not in given["models"]}
            return {**given, "models": {**given["models"], **others}}
        return given

    @model_validator(mode="after")
    def _own_names(self) -> "ProjectConfig":
        for name, dataset in self.datasets.items():
            if dataset.file is not None and name.lower() in registry.datasets():
                raise ValueError(
                    f"datasets.{name}.file: the name is that of a dataset of the paper, whose tuned settings, counts "
                    "and title would be taken for yours; give your file a name of its own"
                )
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> "ProjectConfig":
        parts = {name: getattr(self, name) for name in type(self).model_fields if name != "ablations"}
        parts |= {f"ablations.{name}": part for name, part in self.ablations}
        parts |= {f"sensitivity.trainings.{name}": part for name, part in self.sensitivity.trainings.items()}
        used = {("table1", "datasets", name) for name in self.table1}
        for where, part in parts.items():
            used |= {(where, "datasets", name) for name in getattr(part, "datasets", ())}
            used |= {(where, "models", name) for name in getattr(part, "models", ())}
        used |= {("tuning", "spaces", name) for name in self.tuning.spaces}
        used |= {("beyond.leave_one_out", "datasets", name) for name in self.beyond.leave_one_out}
        used |= {("beyond.beside", "models", name) for name in self.beyond.beside}
        for where, family, name in sorted(used):
            known = self.datasets if family == "datasets" else self.models
            if name not in known:
                raise ValueError(f"{where}.{family}: unknown name '{name}'; {known_names(name, known)}")
        return self


# --- reading ------------------------------------------------------------------------------------------------------


MAX_VALUES = 100_000
"""Most values in one YAML file. config.yaml has some hundreds."""


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Overlay over base: maps merge, everything else replaces (as Snakemake does for several --configfile).

    A map whose `kind` or `code` (see createrec.kinds) changes is replaced whole: the old kind's settings mean nothing
    to the new one.
    """
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        if (
            isinstance(old, Mapping)
            and isinstance(value, Mapping)
            and all(value.get(name, old.get(name)) == old.get(name) for name in ("kind", "code"))
        ):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


class _Loader(yaml.SafeLoader):
    """Dates stay text, so that settings are the same after a way through JSON."""

    yaml_implicit_resolvers: ClassVar = {  # type: ignore[misc]  # types-PyYAML calls it an instance's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Reads a YAML mapping.

    Raises:
        ConfigError: the file is missing, not YAML, or not a mapping; the message names file and line.
    """
    try:
        loader = _Loader(Path(path).read_text(encoding="utf-8"))
        try:
            loaded = loader.get_single_data()
        finally:
            loader.dispose()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from None
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected a mapping of settings, found {type(loaded).__name__}")
    if _size(loaded, {}) > MAX_VALUES:
        raise ConfigError(f"{path}: more than {MAX_VALUES:,} values, aliases written out; expected a short file")
    return loaded


def _size(value: Any, known: dict[int, float]) -> float:
    """Number of values in a nested value, each alias counted as what it stands for; infinite if it holds itself.

    An alias costs nothing in the file and nothing in memory, but whatever walks the value walks it once more.
    """
    if not isinstance(value, Mapping | list | tuple):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf  # what is met again before it is counted lies inside itself
        parts = value.values() if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]


def validate(settings: Mapping[str, Any], where: str = "config", cls: type[BaseModel] = ProjectConfig) -> Any:
    """Validates a plain mapping against a settings class.

    Raises:
        ConfigError: every finding with its key, what was expected and what was given; to an unknown key the known ones.
    """
    try:
        return cls.model_validate(settings)
    except ValidationError as error:
        found = [_explained(finding, cls) for finding in error.errors()]
        if len(found) > 1:
            found = [f"{len(found)} problems: " + "; ".join(f"({n}) {text}" for n, text in enumerate(found, start=1))]
        raise ConfigError(f"{where}: {found[0]}") from None


def _explained(finding: Mapping[str, Any], cls: type[BaseModel]) -> str:
    """One finding of pydantic's, in our words where its own speak of its insides."""
    keys, holder, here = _located(finding["loc"], cls)
    key = ".".join(keys) or "(top level)"
    given = json.dumps(finding["input"], default=str, skipkeys=True)  # a YAML key may be anything
    given = given if len(given) < 80 else given[:77] + "..."
    if finding["type"] == "extra_forbidden" and holder is not None:
        names = [field.alias or name for name, field in holder.model_fields.items()]
        return f"{key}: no such key; {known_names(keys[-1], names)}"
    if finding["type"] == "union_tag_invalid":
        tags = [tag.strip("'") for tag in finding["ctx"]["expected_tags"].split(", ")]
        return f"{key}: no such kind '{finding['ctx']['tag']}'; {known_names(finding['ctx']['tag'], tags)}"
    if finding["type"] == "union_tag_not_found":
        return f"{key}: expected a mapping with a key 'kind', one of {', '.join(dict(_members(here)))} (given: {given})"
    message = finding["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (given: {given})" if keys else message


def _located(loc: tuple[Any, ...], cls: type[BaseModel]) -> tuple[list[str], type[BaseModel] | None, Any]:
    """A finding's place as the person wrote it, the settings class that the last key is looked up in, and the
    annotation of what stands there.

    Pydantic's own place names the member of a union by its tag, too.
    """
    keys: list[str] = []
    here: Any = cls
    holder: type[BaseModel] | None = None
    for part in loc:
        members = dict(_members(here))
        if len(members) > 1 and part in members:
            here = members[part]
        elif not str(part).startswith("function-"):
            if part != "[key]":
                keys.append(str(part))
            holder, here = _inside(list(members.values()), part)
    return keys, holder, here


def _members(annotation: Any, tag: Any = None) -> Iterator[tuple[Any, Any]]:
    """The alternatives of an annotation, each with the tag that a union tells it by; itself where there are none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        tags = [each.tag for each in arguments[1:] if isinstance(each, Tag)]
        yield from _members(arguments[0], tags[0] if tags else tag)
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from _members(argument, tag)
    else:
        kind = annotation.model_fields.get("kind") if _is_settings(annotation) else None
        yield (kind.default if kind is not None else tag or annotation), annotation


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(members: list[Any], part: Any) -> tuple[type[BaseModel] | None, Any]:
    """The settings class among alternatives, and the annotation of what it, a map or a list holds at `part`."""
    for member in members:
        if _is_settings(member):
            fields = {field.alias or name: field for name, field in member.model_fields.items()}
            if part not in fields:  # what a class takes beside its fields is of one type, too
                extra = member.__annotations__.get("__pydantic_extra__")
                return member, get_args(extra)[1] if extra else None
            field = fields[part]
            return member, Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
        if get_origin(member) is dict:
            return None, get_args(member)[1]
        if get_origin(member) in (tuple, list):
            return None, get_args(member)[0]
    return None, None


# Settings that are paths, by their keys; `*` stands for any key.
PATHS = (("hparams",), ("data", "mirror"), ("datasets", "*", "file", "path"))


def anchored(settings: Mapping[str, Any], folder: Path | str) -> dict[str, Any]:
    """Settings whose relative paths, and those that begin with `~`, no longer depend on where one stands.

    Args:
        settings: plain values, as one file or one command line gives them.
        folder: what their relative paths are relative to: the folder of the file that names them.

    Returns:
        A copy whose paths are absolute. URLs stay as they are.
    """
    found = dict(settings)
    for keys in PATHS:
        _anchor(found, keys, Path(folder))
    return found


def _anchor(settings: dict[str, Any], keys: tuple[str, ...], folder: Path) -> None:
    key, *inner = keys
    for name in [key] if key != "*" else list(settings):
        value = settings.get(name)
        if inner and isinstance(value, Mapping):
            settings[name] = dict(value)
            _anchor(settings[name], tuple(inner), folder)
        elif not inner and isinstance(value, str) and "://" not in value:
            path = Path(os.path.expanduser(value))  # noqa: PTH111 (it leaves a home that nobody has as it is)
            settings[name] = os.path.normpath(folder.absolute() / path)


def drop_unnamed_ablations(settings: dict[str, Any], overlay: Mapping[str, Any]) -> None:
    """Takes out of merged settings, in place, the ablations that their overlay did not ask for.

    An overlay that says what is to be shown (a table, a figure, an ablation) says so of every ablation: those that it
    does not name are empty. So an ablation that is added to config.yaml leaves the demo as it was, with nothing to
    download. An overlay of other settings alone changes none.

    Args:
        settings: the merged configuration.
        overlay: all overlays, merged.
    """
    shown = {exhibit.wants.partition(".")[0] for exhibit in EXHIBITS if exhibit.wants}
    if shown & set(overlay) and "ablations" in settings:
        named = overlay.get("ablations") or {}
        settings["ablations"] = {name: part for name, part in settings["ablations"].items() if name in named}


def read_settings(paths: Iterable[Path | str], *last: Mapping[str, Any]) -> dict[str, Any]:
    """config.yaml and its overlays, in order, as plain values; each file's paths are relative to its own folder.

    Args:
        last: overlays that stand in no file.
    """
    files: list[Mapping[str, Any]] = [anchored(read_yaml(path), Path(path).parent) for path in paths]
    base, *overlays = [*files, *last]
    settings, overlay = dict(base), dict[str, Any]()
    for layer in overlays:
        settings, overlay = merge(settings, layer), merge(overlay, layer)
    drop_unnamed_ablations(settings, overlay)
    return settings


def load(paths: Iterable[Path | str]) -> ProjectConfig:
    """Reads config.yaml and its overlays, in order, and validates the result."""
    paths = list(paths)
    return checked(read_settings(paths), paths)


def checked(settings: Mapping[str, Any], paths: Iterable[Path | str]) -> ProjectConfig:
    """A validated configuration that knows the files it was read from.

    Raises:
        ConfigError: something is missing, unknown, or not what it should be.
    """
    names = [os.path.normpath(Path(path).absolute()) for path in paths]
    absent = [
        name for name, field in ProjectConfig.model_fields.items() if field.is_required() and name not in settings
    ]
    if absent:
        raise ConfigError(
            f"{' + '.join(names)}: lacks {', '.join(absent)}; an overlay stands on the project's config.yaml: name it "
            f"first, as in --config config.yaml {Path(names[-1]).name}"
        )
    config = validate(settings, where=" + ".join(names))
    config._files = tuple(names)
    return config


def schema() -> dict[str, Any]:
    """JSON schema of config.yaml, for editors and for a second line of defence."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **ProjectConfig.model_json_schema()}
