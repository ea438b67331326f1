"""Which class stands behind which settings. A new encoder or model adds its line here."""

from createrec.config import (
    BERT4RecConfig,
    BERT4RecEncoderConfig,
    CreateConfig,
    GSAUConfig,
    LightGCNConfig,
    LightGCNEncoderConfig,
    LOOMConfig,
    ModelConfig,
    MRGSRecConfig,
    PopRndConfig,
    RandomConfig,
    SASRecConfig,
    SASRecEncoderConfig,
    SelfGNNConfig,
    Strict,
    SVDConfig,
    UltraGCNConfig,
    UltraGCNEncoderConfig,
)
from createrec.data.batch import TrainingData
from createrec.errors import ConfigError
from createrec.models.base import Recommender
from createrec.models.bert4rec import BERT4RecEncoder
from createrec.models.create import Create
from createrec.models.graph_encoder import GraphEncoder
from createrec.models.gsau import GSAU
from createrec.models.lightgcn import LightGCNEncoder
from createrec.models.loom import LOOM
from createrec.models.mrgsrec import MRGSRec
from createrec.models.popularity import PopRnd
from createrec.models.random import Random
from createrec.models.sasrec import SASRecEncoder
from createrec.models.selfgnn import SelfGNN
from createrec.models.sequence_encoder import SequenceEncoder
from createrec.models.single import GraphRecommender, SequenceRecommender
from createrec.models.svd import SVD
from createrec.models.ultragcn import UltraGCNEncoder
from createrec.randomness import Randomness

SEQUENCE_ENCODERS: dict[type[Strict], type[SequenceEncoder]] = {
    SASRecEncoderConfig: SASRecEncoder,
    BERT4RecEncoderConfig: BERT4RecEncoder,
}
GRAPH_ENCODERS: dict[type[Strict], type[GraphEncoder]] = {
    LightGCNEncoderConfig: LightGCNEncoder,
    UltraGCNEncoderConfig: UltraGCNEncoder,
}
MODELS: dict[type[Strict], type[Recommender]] = {
    RandomConfig: Random,
    PopRndConfig: PopRnd,
    SVDConfig: SVD,
    SASRecConfig: SequenceRecommender,
    BERT4RecConfig: SequenceRecommender,
    LightGCNConfig: GraphRecommender,
    UltraGCNConfig: GraphRecommender,
    CreateConfig: Create,
    MRGSRecConfig: MRGSRec,
    GSAUConfig: GSAU,
    SelfGNNConfig: SelfGNN,
    LOOMConfig: LOOM,
}


def encoder_for(config: Strict, table: dict[type[Strict], type]) -> type:
    """The encoder class of some settings, or of the settings they extend."""
    for cls in type(config).__mro__:
        if cls in table:
            return table[cls]
    raise ConfigError(f"no encoder is registered for {type(config).__name__}")


def build_model(config: ModelConfig, data: TrainingData, randomness: Randomness) -> Recommender:
    """Builds a model, untrained, on the data's device."""
    cls = MODELS[type(config)]
    parts: list[type] = []
    if issubclass(cls, SequenceRecommender):
        parts = [encoder_for(config, SEQUENCE_ENCODERS)]
    elif issubclass(cls, GraphRecommender):
        parts = [encoder_for(config, GRAPH_ENCODERS)]
    elif issubclass(cls, Create):
        parts = [encoder_for(config.sequence, SEQUENCE_ENCODERS), encoder_for(config.graph, GRAPH_ENCODERS)]
    return cls(config, data, randomness, *parts).to(data.device)
