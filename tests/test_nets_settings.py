from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from convergent import nets
from convergent.nets.seed_run import make_optimizer
from convergent.study.folder import DEFAULT_TOP
from convergent.training_recipes import RECIPES, TrainingRecipe
from convergent.training_settings import (
    ADDED,
    DEFAULTS,
    DEVICE,
    SCHEDULES,
    TrainingSettings,
    make_settings,
)
from tests.reference import training as reference
from tests.test_nets_training import small_digits

USUAL = {"precision": "float32", "compile": False}


def settings(recipe: str | None = None, **given: Any) -> TrainingSettings:
    return make_settings(recipe, {**USUAL, **given})


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_are_those_of_the_definition(schedule: str) -> None:
    more: dict[str, Any] = {}
    if schedule == "steps":
        more = {"milestones": (2, 5), "factor": 0.25}
    found = settings(epochs=7, learning_rate=0.3, schedule=schedule, **more)
    rates = [found.rate(step, 10) for step in range(70)]
    expected = [
        reference.rate(schedule, 0.3, step, 70, steps_an_epoch=10, milestones=(2, 5), factor=0.25)
        for step in range(70)
    ]
    np.testing.assert_allclose(rates, expected, rtol=1e-13)
    assert min(rates) > 0.0
    assert max(rates) == pytest.approx(0.3)


def test_cosine_and_steps_are_torch_s() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    for schedule, of_torch in (
        ("cosine", lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 12)),
        ("steps", lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [6, 9], gamma=0.1)),
    ):
        ours = settings(schedule=schedule)
        optimizer = torch.optim.SGD([weight], lr=0.1)
        scheduler = of_torch(optimizer)
        for epoch in range(12):
            assert ours.rate(epoch, 1) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
            optimizer.step()
            scheduler.step()


@pytest.mark.parametrize("nesterov", [True, False])
def test_steps_of_the_optimizer(nesterov: bool) -> None:
    random = np.random.default_rng(0)
    start, gradients = random.standard_normal(5), random.standard_normal((4, 5))
    chosen = settings(nesterov=nesterov, momentum=0.8, weight_decay=0.01, learning_rate=0.2)
    weight = torch.nn.Parameter(torch.tensor(start))
    optimizer = make_optimizer([weight], chosen)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
    expected = reference.descend(start, list(gradients), [0.2] * 4, 0.8, 0.01, nesterov)
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-13)


def test_recipe_of_wang_2018() -> None:
    found = settings("wang2018")
    assert (found.epochs, found.batch_size, found.learning_rate) == (160, 128, 0.1)
    assert (found.momentum, found.weight_decay, found.nesterov) == (0.9, 5e-4, False)
    assert (found.schedule, found.milestones, found.factor) == ("steps", (80, 120), 0.1)
    assert found.augmentation == "crop_flip"
    assert found.checkpoints == nets.default_checkpoints(160)
    assert [found.rate(epoch * 9, 9) for epoch in (0, 79, 80, 120, 159)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.001, 0.001]
    )


def test_recipes_of_the_other_papers() -> None:
    caffe = settings("li2016")
    assert (caffe.epochs, caffe.batch_size, caffe.learning_rate) == (90, 256, 0.01)
    assert caffe.milestones == (20, 40, 60, 80)
    convnet = settings("lu2018")
    assert convnet.checkpoints == (0, 1, 2, 4, 6, 9, 14, 21, 32, 50)
    assert settings("lu2018", epochs=10).checkpoints == (0, 1, 2, 4, 6, 9, 10)
    residual = settings("lu2018_resnet")
    assert residual.checkpoints == (0, 1, 2, 3, 5, 8, 13, 22, 36, 60, 100)
    assert residual.epochs == 100
    for name in RECIPES:
        assert settings(name).epochs == RECIPES[name].epochs
        assert RECIPES[name].source


def test_the_default_recipe_is_what_it_was() -> None:
    found = settings()
    assert found == TrainingSettings(
        12, nets.default_checkpoints(12), 64, 0.1, 0.9, 5e-4, True, "cosine"
    )
    assert settings("default") == found


def test_single_settings_override_a_recipe() -> None:
    found = settings("wang2018", epochs=16, augmentation="none", nesterov=True, learning_rate=0.05)
    assert (found.epochs, found.milestones, found.batch_size) == (16, (8, 12), 128)
    assert (found.augmentation, found.nesterov, found.learning_rate) == ("none", True, 0.05)
    assert settings("wang2018", milestones=(3, 150)).milestones == (3, 150)
    cosine = settings("wang2018", schedule="cosine")
    assert (cosine.milestones, cosine.factor) == ((), None)
    assert settings(schedule="steps").milestones == (6, 9)
    assert settings(schedule="steps", epochs=1).milestones == ()
    assert TrainingRecipe("", epochs=10, milestones=(5, 9)).milestones_of(4) == (2,)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"recipe": "li"}, ValueError, "`recipe` must be one of 'default', 'li2016'.* got 'li'"),
        ({"schedule": "step"}, ValueError, "`schedule` must be one of 'cosine'.* got 'step'"),
        ({"augmentation": "flip"}, ValueError, "`augmentation` must be one of 'none', 'crop'"),
        ({"precision": "half"}, ValueError, "`precision` must be one of 'float32'.* got 'half'"),
        ({"nesterov": 1}, TypeError, "`nesterov` must be True or False, got 1"),
        ({"compile": "yes"}, TypeError, "`compile` must be True or False, got 'yes'"),
        ({"ensemble": 3}, TypeError, "`ensemble` must be True or False, got 3"),
        ({"channels_last": 0}, TypeError, "`channels_last` must be True or False, got 0"),
        ({"milestones": (3,)}, ValueError, "`milestones` must be None where `schedule` is 'cosi"),
        ({"factor": 0.1}, ValueError, "`factor` must be None where `schedule` is 'cosine', got 0"),
        (
            {"schedule": "steps", "milestones": (13,)},
            ValueError,
            "`milestones` must be between 1 and 12, got 13",
        ),
        (
            {"schedule": "steps", "milestones": (5, 5)},
            ValueError,
            r"`milestones` must ascend, got \[5, 5\]",
        ),
        (
            {"schedule": "steps", "factor": 1.0},
            ValueError,
            r"`factor` must lie in \(0, 1\), got 1.0",
        ),
    ],
)
def test_bad_settings_are_named(
    given: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        nets.train("convnet", small_digits(), seeds=[0], out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_everything_is_recorded_and_compared(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"seeds": [0], "out": tmp_path, "epochs": 1, "checkpoints": [0]}
    more: dict[str, Any] = {"recipe": "wang2018", "precision": "bfloat16", "batch_size": 100,
                            "augmentation": "crop_flip"}  # fmt: skip
    (folder,) = nets.train("convnet", small_digits(), **arguments, **more)
    recipe = json.loads((folder / "recipe.json").read_text())
    expected = {
        "recipe": "wang2018",
        "epochs": 1,
        "checkpoints": [0, 1],
        "batch_size": 100,
        "nesterov": False,
        "schedule": "steps",
        "milestones": [],
        "factor": 0.1,
        "augmentation": "crop_flip",
        "precision": "bfloat16",
        "channels_last": True,
        "compile": False,
        "device": "cpu",
        "ensemble": False,
    }
    assert {name: recipe[name] for name in expected} == expected
    for name, value, message in (
        ("augmentation", "crop", '`augmentation` "crop_flip", got "crop"'),
        ("nesterov", True, "`nesterov` false, got true"),
        ("precision", "float32", '`precision` "bfloat16", got "float32"'),
        ("channels_last", False, "`channels_last` true, got false"),
        ("compile", True, "`compile` false, got true"),
        ("schedule", "constant", '`schedule` "steps", got "constant"'),
    ):
        with pytest.raises(ValueError, match=f"seed-00 was made with {message}"):
            nets.train("convnet", small_digits(), **arguments, **{**more, name: value})
    # Names, places and company may differ: the settings count.
    nets.train(
        "convnet", small_digits(), **arguments, batch_size=100, nesterov=False, schedule="steps",
        augmentation="crop_flip", precision="bfloat16", ensemble=True,
    )  # fmt: skip


def test_folders_from_before_these_settings_go_on(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"seeds": [0], "epochs": 2, "batch_size": 50}
    (whole,) = nets.train("convnet", small_digits(), out=tmp_path / "whole", **arguments)

    def stop(description: str, done: int, total: int) -> None:
        if done == 1:
            raise InterruptedError

    half = tmp_path / "half" / "seed-00"
    with pytest.raises(InterruptedError):
        nets.train("convnet", small_digits(), out=half.parent, progress=stop, **arguments)
    recipe = json.loads((half / "recipe.json").read_text())
    for name in (*ADDED, "recipe", "device", "ensemble"):
        del recipe[name]
    (half / "recipe.json").write_text(json.dumps(recipe))
    resume = half / "resume.safetensors"
    tensors, metadata = nets.load_checkpoint(resume)
    del metadata["seed"]
    nets.save_checkpoint(resume, tensors, metadata)
    nets.train("convnet", small_digits(), out=half.parent, **arguments)
    last = "epoch-002.safetensors"
    assert (half / last).read_bytes() == (whole / last).read_bytes()
    (half / "recipe.json").write_text(json.dumps(recipe))
    with pytest.raises(ValueError, match="was made with `nesterov` true, got false"):
        nets.train("convnet", small_digits(), out=half.parent, nesterov=False, **arguments)


def test_functions_have_the_defaults_of_the_command_line() -> None:
    train, collect = (
        inspect.signature(function).parameters for function in (nets.train, nets.collect)
    )
    assert train["precision"].default == DEFAULTS.precision
    assert train["compile"].default == DEFAULTS.compile
    assert train["device"].default == DEVICE
    assert collect["n_top"].default == DEFAULT_TOP


def test_the_command_line_passes_settings_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from convergent.cli import main

    out = ["--out", str(tmp_path), "--seeds", "3,4", "--epochs", "1", "--json"]
    chosen = ["--recipe", "wang2018", "--batch-size", "700", "--milestones", "1", "--ensemble"]
    assert main(["train", *out, *chosen]) == 0
    printed = capsys.readouterr()
    assert [Path(path).name for path in json.loads(printed.out)["networks"]] == [
        "seed-03",
        "seed-04",
    ]
    assert "seed 4  epoch 1/1  train loss" in printed.err
    recipe = json.loads((tmp_path / "networks" / "seed-03" / "recipe.json").read_text())
    assert (recipe["batch_size"], recipe["milestones"], recipe["ensemble"]) == (700, [1], True)


def test_the_command_line_refuses_bad_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from convergent.cli import main

    for chosen, message in (
        (["--learning-rate", "-1"], "`learning_rate` must be positive, got -1.0"),
        (["--milestones", "3"], "`milestones` must be None where `schedule` is 'cosine'"),
    ):
        assert main(["train", "--out", str(tmp_path / "out"), *chosen]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_recipes_mirror_no_digits(tmp_path: Path) -> None:
    data, one = small_digits(), {"epochs": 1, "seeds": [0], "checkpoints": (1,)}
    for name, more, expected in (
        ("recipe", {}, "crop"),
        ("asked", {"augmentation": "crop_flip"}, "crop_flip"),
    ):
        settings: dict[str, Any] = {**one, **more}
        nets.train(*("convnet", data), out=tmp_path / name, recipe="wang2018", **settings)
        recipe = json.loads((tmp_path / name / "seed-00" / "recipe.json").read_text())
        assert recipe["augmentation"] == expected
