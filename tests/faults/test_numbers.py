"""Losses that are no numbers, and memory that runs out: the message says where and what to lower."""

import re
import shutil

import made
import pytest


@pytest.mark.parametrize("model", ["sasrec", "create"])
def test_a_diverging_training_names_epoch_term_and_last_values(drill, model: str) -> None:
    run = made.run_of(model, fold="test", training={"learning_rate": 1e30, "epochs": 5})
    exercise = drill("train", made.train(run))
    exercise._fresh()
    outcome = exercise._run()
    assert outcome.status == 1 and "Traceback" not in outcome.printed, outcome.printed
    message = r"epoch \d+ \((train|warmup|joint)\): the loss term .* is not finite; last finite values: "
    assert re.search(message, outcome.printed), outcome.printed
    assert "Lower training.learning_rate" in outcome.printed
    assert not (exercise.folder / "results/run/model.safetensors").exists()


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"dimension": 10**9}, "lower the model's dimension"),
        pytest.param(
            {"dimension": 4096, "training": {"batch_size": 10**6}}, "lower training.batch_size", marks=pytest.mark.slow
        ),
    ],
)
def test_memory_that_runs_out_names_what_to_lower(drill, settings, advice: str) -> None:
    exercise = drill("train", made.train(made.run_of("sasrec", fold="test", **settings)))
    exercise._fresh()
    outcome = exercise._run(memory_limit=4 << 30)
    assert outcome.status == 1 and "Traceback" not in outcome.printed, outcome.printed
    assert re.search(f"createrec: error: out of memory on cpu: {advice}", outcome.printed), outcome.printed


def test_other_errors_of_torch_are_not_taken_for_memory() -> None:
    import torch

    from createrec.training.device import memory_explained

    with pytest.raises(RuntimeError, match="shapes"), memory_explained(torch.device("cpu"), "lower it"):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


def test_a_model_with_one_bit_flipped_is_not_evaluated(drill) -> None:
    exercise = drill("evaluate", made.evaluate(made.run_of("create", fold="test")))
    exercise._fresh()
    model = exercise.folder / "results/run/model.safetensors"
    content = bytearray(model.read_bytes())
    content[-5] ^= 1
    model.write_bytes(content)
    outcome = exercise._run()
    assert outcome.status == 2 and "not the bytes that its training.json speaks of" in outcome.printed, outcome.printed


def test_a_checkpoint_with_one_bit_flipped_is_not_resumed(drill) -> None:
    exercise = drill("train", made.train(made.run_of("create", fold="test")))
    exercise._fresh()
    assert exercise._run(kill_at=3, only=["os.rename"]).killed
    checkpoint = exercise.folder / "results/run/checkpoint.safetensors"
    whole = checkpoint.read_bytes()
    for place in (-5, len(whole) // 2):
        content = bytearray(whole)
        content[place] ^= 1
        checkpoint.write_bytes(content)
        outcome = exercise._run()
        assert outcome.status == 2 and "damaged checkpoint" in outcome.printed, outcome.printed
        assert f"delete {checkpoint.relative_to(exercise.folder)}" in outcome.printed
    checkpoint.unlink()
    assert exercise._run().status == 0


@pytest.mark.slow
def test_a_new_model_never_stands_beside_an_old_history(drill) -> None:
    """Trained again with other settings and killed between the two files, nothing is left to be believed."""
    exercise = drill("evaluate", made.train(made.run_of("create", fold="test", global_weight=0.7)))
    exercise._fresh()
    shutil.copytree(exercise.folder, exercise.folder.with_name("whole"))
    number = 0
    while True:
        number += 1
        exercise._fresh()
        if not exercise._run(kill_at=number).killed:
            break
        evaluated = exercise.children.run(*made.evaluate(made.run_of("create", fold="test")), cwd=exercise.folder)
        same = (exercise.folder / "results/run/model.safetensors").read_bytes() == (
            exercise.folder.with_name("whole") / "results/run/model.safetensors"
        ).read_bytes()
        assert (evaluated.status == 0) <= same, "a model was evaluated under the settings of another"
    assert number > 10
