"""What the papers trained their networks with, by name. Torch is not needed to know it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """Settings of `train` that belong together; single ones can be overridden."""

    source: str
    """Where the settings come from, and what of them is ours."""
    epochs: int = 12
    """Passes over the training images."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 0.1
    """The first one, or the highest one of ``"one_cycle"``."""
    momentum: float = 0.9
    """Of stochastic gradient descent."""
    nesterov: bool = True
    """Nesterov's momentum instead of the classical one."""
    weight_decay: float = 5e-4
    """Of all weights, biases included."""
    schedule: str = "cosine"
    """How the learning rate falls: see `train`."""
    milestones: tuple[int, ...] = ()
    """Epochs after which ``"steps"`` lowers the rate; moved in proportion for other `epochs`."""
    factor: float = 0.1
    """What ``"steps"`` multiplies the rate by."""
    augmentation: str = "none"
    """What is done to training images: see `train`."""
    checkpoints: tuple[int, ...] | None = None
    """Epochs whose weights are kept; None takes `default_checkpoints`."""

    def milestones_of(self, epochs: int) -> tuple[int, ...]:
        """Return the milestones of a training with another number of epochs, each once."""
        moved = {max(1, round(epoch * epochs / self.epochs)) for epoch in self.milestones}
        return tuple(sorted(epoch for epoch in moved if epoch < epochs))


RECIPES: dict[str, TrainingRecipe] = {
    "default": TrainingRecipe(source="ours: small networks, half a minute on a laptop"),
    "li2016": TrainingRecipe(
        source="Li et al. (2016), Section 2: Caffe's reference training of AlexNet on ImageNet "
        "(450,000 steps of 256 images, a tenth of the rate every 100,000 steps), in whole epochs; "
        "images are cropped from a border of 4 pixels instead of from larger ones, and biases "
        "have the rate and the decay of weights",
        epochs=90,
        batch_size=256,
        learning_rate=0.01,
        nesterov=False,
        schedule="steps",
        milestones=(20, 40, 60, 80),
        augmentation="crop_flip",
    ),
    "wang2018": TrainingRecipe(
        source="Wang et al. (2018), as the authors trained VGG and ResNet on CIFAR-10 "
        "(VGG16 began at 0.05)",
        epochs=160,
        batch_size=128,
        nesterov=False,
        schedule="steps",
        milestones=(80, 120),
        augmentation="crop_flip",
    ),
    "lu2018": TrainingRecipe(
        source="Lu et al. (2018), Figure 3: checkpoints and epochs of the ConvNets; the paper "
        "names no optimiser, so its settings are ours",
        epochs=50,
        learning_rate=0.02,
        checkpoints=(0, 1, 2, 4, 6, 9, 14, 21, 32, 50),
    ),
    "lu2018_resnet": TrainingRecipe(
        source="Lu et al. (2018), Figure 3: checkpoints and epochs of the ResNet18; the paper "
        "names no optimiser, so its settings are ours",
        epochs=100,
        batch_size=128,
        augmentation="crop_flip",
        checkpoints=(0, 1, 2, 3, 5, 8, 13, 22, 36, 60, 100),
    ),
}
"""Recipes by name."""
