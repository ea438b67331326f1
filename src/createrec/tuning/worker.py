"""The process that trains a study's trials, one after the other.

A process of its own, so that a trial that takes its process down (memory, a broken GPU context) does not take the
study down. Messages are JSON: to the worker the settings and the seed of one training, or whether to go on after an
epoch; from it `ready`, then for each training `epoch` messages and one of `done`, `stopped`, `failed` and `broken`
(failed, and the process ends).
"""

import gc
import json
import os
import signal
import threading
import traceback
from dataclasses import replace
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from createrec.data.split import Split
from createrec.errors import CreaterecError
from createrec.plan import Run
from createrec.runs.run import train_run, validation
from createrec.training.device import choose_device, describe
from createrec.training.trainer import OBJECTIVE


class _StopTrialError(Exception):
    """The study prunes the trial."""


def send(connection: Connection, message: Any) -> None:
    connection.send_bytes(json.dumps(message).encode())


def receive(connection: Connection) -> Any:
    """The next message.

    Raises:
        EOFError: the other side is gone.
    """
    return json.loads(connection.recv_bytes())


def serve(connection: Connection, split_path: Path, run: dict[str, Any], device_name: str, workers: int) -> None:
    """Trains what comes until the study closes the connection; the entry point of the process."""
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the study too, and that ends this process
    try:
        device = choose_device(device_name)
        split = Split.load(split_path)
    except CreaterecError as error:
        send(connection, {"kind": "failed", "reason": str(error)})
        return
    torch.set_num_threads(max(1, torch.get_num_threads() // workers))
    send(connection, {"kind": "ready", "device": describe(device)})
    while True:
        try:
            wanted = receive(connection)
        except EOFError:
            return
        try:
            answer = _trial(connection, replace(Run(**run), **wanted), split, device)
        except _StopTrialError:
            answer = {"kind": "stopped"}
        except CreaterecError as error:
            answer = {"kind": "failed", "reason": str(error)}
        except (RuntimeError, MemoryError) as error:
            # Torch's way to say that memory cannot be had on a CPU, or that a kernel failed: not to be trusted again.
            traceback.print_exc()
            first_line = (str(error) or "no message").splitlines()[0]
            send(connection, {"kind": "broken", "reason": f"{type(error).__name__}: {first_line}"})
            return
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()  # other trials may share the card
        send(connection, answer)


def _end_with_the_study() -> None:
    """A worker whose study was killed must not train on for nobody."""
    if parent := parent_process():
        parent.join()
    os._exit(1)


def _trial(connection: Connection, run: Run, split: Split, device: torch.device) -> dict[str, Any]:
    def report(entry: dict[str, Any]) -> None:
        send(connection, {"kind": "epoch", **entry})
        if not receive(connection):
            raise _StopTrialError

    model, facts = train_run(run, split, device, report=report)
    value = facts["best_value"] if facts["history"] else validation(model, split, run)()[OBJECTIVE]
    return {"kind": "done", "value": value}
