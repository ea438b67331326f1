"""Checkpoints at epoch ends: one safetensors file with everything that decides the rest of the run."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor, nn

from createrec.errors import CheckpointError
from createrec.files import atomic_path
from createrec.randomness import Randomness
from createrec.training.adamw import AdamW

FORMAT = "2"


class OtherRunError(CheckpointError):
    """A checkpoint is whole, and of other settings, data or code, or another format."""


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        epochs_done: epochs behind it.
        history: one entry an epoch, as in a record.
        best_epoch: epoch with the best validation NDCG@10 so far, if there is validation.
        best_value: its NDCG@10.
        seconds: training time so far, over all sessions.
    """

    epochs_done: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int | None = None
    best_value: float | None = None
    seconds: float = 0.0


def save(
    path: Path,
    fingerprint: str,
    progress: Progress,
    model: nn.Module,
    optimizer: AdamW,
    randomness: Randomness,
    best: dict[str, Tensor] | None,
) -> None:
    """Writes a checkpoint; a reader sees the old one or the new one, never a part."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"random/{purpose}": state for purpose, state in randomness.state().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in (best or {}).items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer/{name}/{key}"] = value
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    about = json.dumps(asdict(progress))
    metadata = {"format": FORMAT, "fingerprint": fingerprint, "progress": about, "sha256": _digest(tensors, about)}
    with atomic_path(path) as temporary:
        temporary.write_bytes(serialized(tensors, metadata))


def _digest(tensors: Mapping[str, Tensor], progress: str) -> str:
    """SHA-256 over names, types, shapes and bytes of tensors on the CPU, and the progress."""
    digest = hashlib.sha256(progress.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load(
    path: Path, fingerprint: str, model: nn.Module, optimizer: AdamW, randomness: Randomness
) -> tuple[Progress, dict[str, Tensor] | None]:
    """Restores a checkpoint in place.

    Returns:
        The progress, and the best epoch's model state if there is one.

    Raises:
        OtherRunError: the file was written by another run; nothing was restored.
        CheckpointError: the file is damaged.
    """
    advice = f"delete {path} to start this run afresh"
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: damaged checkpoint ({error}); {advice}") from None
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "none")
        raise OtherRunError(f"{path}: the checkpoint has the format {found}, this version reads {FORMAT}")
    if metadata.get("fingerprint") != fingerprint:
        raise OtherRunError(f"{path}: the checkpoint is another run's (other settings, data or code)")
    if metadata.get("sha256") != _digest(tensors, metadata.get("progress", "")):
        raise CheckpointError(f"{path}: damaged checkpoint (its bytes are not those that were written); {advice}")
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "random": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition("/")
        groups[group][rest] = tensor
    try:
        model.load_state_dict(groups["model"])
        for name, parameter in model.named_parameters():
            states = {
                key.rpartition("/")[2]: value
                for key, value in groups["optimizer"].items()
                if key.rpartition("/")[0] == name
            }
            if states:
                optimizer.state[parameter] = {key: value.to(parameter.device) for key, value in states.items()}
        progress = Progress(**json.loads(metadata["progress"]))
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the checkpoint does not fit the model ({error}); {advice}") from None
    randomness.load_state(groups["random"])
    return progress, groups["best"] or None
