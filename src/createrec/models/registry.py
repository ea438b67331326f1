"""From settings to a model: what the catalogue of kinds (createrec.kinds) says stands behind them."""

from createrec.config import ModelConfig
from createrec.data.batch import TrainingData
from createrec.kinds import implementation
from createrec.models.base import Recommender
from createrec.randomness import Randomness


def build_model(config: ModelConfig, data: TrainingData, randomness: Randomness) -> Recommender:
    """Builds a model, untrained, on the data's device.

    Raises:
        ConfigError: the settings, or those of a part, are of no known kind, or its code cannot be imported.
    """
    return implementation(config, "model")(config, data, randomness).to(data.device)
