"""Several networks of one architecture trained at once, each as it would be trained alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

from convergent.nets.augmentation import Draws
from convergent.nets.epoch_report import Listeners
from convergent.nets.precision import cross_entropy, products_in
from convergent.nets.seed_run import (
    SeedRun,
    checked_loss,
    evaluate,
    make_optimizer,
    order_of_epoch,
    set_rate,
)
from convergent.training_settings import TrainingSettings

Tensors = dict[str, torch.Tensor]
SMALL_NETWORK = 5_000_000
"""Parameters up to which a GPU is left idle by one network at a time."""


def reason_against(
    network: nn.Module, image: torch.Tensor, settings: TrainingSettings
) -> str | None:
    """Return why networks like this one cannot be trained together, None if they can.

    Tried on two copies and two images (n_channels, height, width); the network is not changed.
    """
    if settings.compile:
        return "compiled networks are trained one after the other"
    if settings.precision == "float16":
        return "float16 needs a loss scale for each network; take 'bfloat16'"
    stacks = _Stacks([network, network])
    images = image.expand(2, 2, *image.shape)
    was_training = network.training
    network.train()
    try:
        with products_in(settings.precision, image.device, cache=False):
            stacks.gradients(images, torch.zeros(2, 2, dtype=torch.int64, device=image.device))
    except (RuntimeError, NotImplementedError, ValueError) as error:
        # What torch cannot do to copies is known only by trying. Nothing is hidden: the reason is
        # shown to whoever asked for it, and a network that is wrong fails by itself, too.
        brief = str(error).strip().split("\n")[0]
        if "random" in brief:
            return "the network draws random numbers (such as dropout), which depend on the seed"
        return f"torch cannot run copies of the network at once ({brief})"
    finally:
        network.train(was_training)
    return None


def pays(network: nn.Module, n_networks: int, device: torch.device) -> bool:
    """Return whether networks trained together are likely to be faster than one by one.

    A GPU waits for its next command while it trains a small network; a processor core does not.
    """
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    return n_networks > 1 and device.type == "cuda" and n_parameters <= SMALL_NETWORK


def train_runs(runs: Sequence[SeedRun], listeners: Listeners) -> None:
    """Train the epochs that are missing, at each time of all the networks that are least far."""
    for run in runs:
        run.start(listeners)
    while True:
        waiting = [run for run in runs if not run.finished]
        if not waiting:
            return
        epoch = min(run.done for run in waiting) + 1
        group = [run for run in waiting if run.done + 1 == epoch]
        if epoch == 0 or len(group) == 1:
            for run in group:
                run.next_epoch(listeners)
        else:
            _next_epoch(group, epoch, listeners)


def _next_epoch(runs: Sequence[SeedRun], epoch: int, listeners: Listeners) -> None:
    """Train one epoch of all networks, then write the files of each."""
    start = time.perf_counter()
    losses = _train_epoch(runs, epoch, listeners)
    found = [evaluate(run.network, *run.images.test) for run in runs]
    seconds = (time.perf_counter() - start) / len(runs)
    for run, loss, test in zip(runs, losses, found):
        run.close_epoch((loss, *test), seconds, listeners)


def _train_epoch(runs: Sequence[SeedRun], epoch: int, listeners: Listeners) -> list[float]:
    """Return the mean loss of each network over one pass in its own order."""
    settings, (images, labels) = runs[0].settings, runs[0].images.train
    device, n = runs[0].images.device, len(images)
    orders = [order_of_epoch(run.seed, epoch, n, settings.batch_size, device)[0] for run in runs]
    draws = Draws.stacked(
        [Draws.of_epoch(settings.augmentation, run.seed, epoch, n, device) for run in runs]
    )
    for run in runs:
        run.network.train()
    stacks = _Stacks([run.network for run in runs])
    optimizer = make_optimizer([*stacks.parameters.values()], settings)
    stacks.take_momentum(optimizer, runs)
    total = torch.zeros(len(runs), device=device)
    for number, batches in enumerate(zip(*orders)):
        rows = torch.stack(batches)
        chosen = images[rows] if draws is None else draws.of_images(rows).apply(images[rows])
        with products_in(settings.precision, device, cache=False):
            gradients, loss = stacks.gradients(chosen, labels[rows])
        for name, parameter in stacks.parameters.items():
            parameter.grad = gradients[name]
        set_rate(optimizer, settings, epoch, number, len(orders[0]))
        optimizer.step()
        total += loss * rows.shape[1]
        listeners.step(tuple(run.seed for run in runs), epoch, number + 1, len(orders[0]))
    stacks.give_back(optimizer, runs)
    return [checked_loss(loss / n, run.seed, epoch) for run, loss in zip(runs, total.tolist())]


class _Stacks:
    """Parameters and buffers of several networks, each stacked along a new first axis."""

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self._network = networks[0]
        named = [dict(network.named_parameters()) for network in networks]
        trained = [name for name, value in named[0].items() if value.requires_grad]
        self.parameters: Tensors = {
            name: torch.stack([each[name].detach() for each in named]) for name in trained
        }
        still = [
            {
                name: value.detach()
                for name, value in chain(network.named_parameters(), network.named_buffers())
                if name not in self.parameters
            }
            for network in networks
        ]
        self._others: Tensors = {
            name: torch.stack([each[name] for each in still]) for name in still[0]
        }
        self._gradients: Callable[..., Any] = vmap(
            grad_and_value(self._loss, has_aux=True), randomness="error"
        )

    def gradients(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[Tensors, torch.Tensor]:
        """Return gradients and losses of the networks, each on its own images; buffers move on."""
        found, (losses, self._others) = self._gradients(
            self.parameters, self._others, images, labels
        )
        return found, losses.detach()

    def _loss(
        self, parameters: Tensors, others: Tensors, images: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, Tensors]:
        """Return one network's loss, and its buffers, which running means change in place."""
        logits = functional_call(self._network, {**parameters, **others}, (images,))
        return cross_entropy(logits, labels), others

    def take_momentum(self, optimizer: torch.optim.Optimizer, runs: Sequence[SeedRun]) -> None:
        """Give the optimizer of the stacks the momentum of the networks' own."""
        for name, stack in self.parameters.items():
            buffers = [
                run.optimizer.state[run.network.get_parameter(name)].get("momentum_buffer")
                for run in runs
            ]
            if all(buffer is not None for buffer in buffers):
                optimizer.state[stack]["momentum_buffer"] = torch.stack(buffers)

    @torch.no_grad()
    def give_back(self, optimizer: torch.optim.Optimizer, runs: Sequence[SeedRun]) -> None:
        """Copy parameters, buffers and momentum into the networks and their optimizers."""
        for name, stack in self.parameters.items():
            momentum = optimizer.state[stack]["momentum_buffer"]
            for run, values, moving in zip(runs, stack, momentum):
                parameter = run.network.get_parameter(name)
                parameter.copy_(values)
                run.optimizer.state[parameter]["momentum_buffer"] = moving.clone()
        for name, stack in self._others.items():
            for run, values in zip(runs, stack):
                if name in dict(run.network.named_buffers()):
                    run.network.get_buffer(name).copy_(values)
