"""Faults that are put into torch programs, one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from faults import fault
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from programs import Program

FAMILY = "torch"
LOGITS = (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss)


def is_torch(program: Program) -> bool:
    return isinstance(program.model, nn.Module)


def loss_of(program: Program) -> Any:
    return program.fit_kwargs.get("loss") if is_torch(program) else None


def with_optimizer(program: Program, model: Any = None, factor: float = 1.0) -> Program:
    """Return the program with a new optimizer for its model, of the same kind and settings."""
    model = program.model if model is None else model
    given = program.fit_kwargs["optimizer"]
    first = given[0] if isinstance(given, list) else given
    kept = {
        name: first.defaults[name]
        for name in ("momentum", "weight_decay")
        if first.defaults.get(name)
    }
    weights = [one for one in model.parameters() if one.requires_grad]
    rate = first.param_groups[0].get("initial_lr", first.param_groups[0]["lr"]) * factor
    optimizer = type(first)(weights, lr=rate, **kept)
    return replace(program, model=model, fit_kwargs={**program.fit_kwargs, "optimizer": optimizer})


def is_fresh(program: Program) -> bool:
    """Whether nothing of the program was trained before."""
    return all(one.requires_grad for one in program.model.parameters()) and (
        program.fit_kwargs["optimizer"].param_groups[0]["lr"] > 1e-5
    )


def changed(program: Program, change: Callable[[Any], None], kinds: Any) -> Program | None:
    """Return the program with all hidden layers of some kinds changed in place."""
    if not is_torch(program) or not is_fresh(program):
        return None
    layers = [one for one in program.model.modules() if isinstance(one, kinds)]
    if len(layers) < 2:
        return None
    with torch.no_grad():
        for one in layers[:-1]:
            change(one)
    return program


WEIGHTED = (nn.Linear, nn.Conv2d)


@fault(FAMILY, "a softmax before CrossEntropyLoss")
def softmax(program: Program, seed: int) -> Program | None:
    del seed
    if not isinstance(loss_of(program), nn.CrossEntropyLoss):
        return None
    return with_optimizer(program, nn.Sequential(program.model, nn.Softmax(dim=1)))


@fault(FAMILY, "a sigmoid before BCEWithLogitsLoss")
def sigmoid(program: Program, seed: int) -> Program | None:
    del seed
    if not isinstance(loss_of(program), nn.BCEWithLogitsLoss):
        return None
    return with_optimizer(program, nn.Sequential(program.model, nn.Sigmoid()))


@fault(FAMILY, "scores into a loss of logarithms")
def no_logarithm(program: Program, seed: int) -> Program | None:
    del seed
    if not isinstance(loss_of(program), nn.NLLLoss):
        return None
    return with_optimizer(program, program.model[0])


@fault(FAMILY, "a ReLU on the scores")
def relu_scores(program: Program, seed: int) -> Program | None:
    del seed
    if not isinstance(loss_of(program), LOGITS):
        return None
    return with_optimizer(program, nn.Sequential(program.model, nn.ReLU()))


@fault(FAMILY, "outputs (n, 1) beside labels (n,)")
def broadcast(program: Program, seed: int) -> Program | None:
    del seed
    if not isinstance(loss_of(program), nn.MSELoss | nn.HuberLoss) or program.y.ndim > 1:
        return None
    y = torch.as_tensor(program.y)
    if program.model(torch.as_tensor(program.X[:2])).ndim > 1:
        return replace(program, y=y)
    return replace(program, y=y[:, None], y_test=None)


@fault(FAMILY, "a rate of 10")
def rate(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program):
        return None
    return with_optimizer(program, factor=10 / program.fit_kwargs["optimizer"].defaults["lr"])


@fault(FAMILY, "a rate of 1e-9")
def slow(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program) or not is_fresh(program):
        return None
    return with_optimizer(program, factor=1e-9 / program.fit_kwargs["optimizer"].defaults["lr"])


@fault(FAMILY, "zeros in all hidden weights")
def zeros(program: Program, seed: int) -> Program | None:
    del seed

    def change(layer: Any) -> None:
        layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()

    return changed(program, change, WEIGHTED)


@fault(FAMILY, "biases of -10")
def dead(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program) or any(
        "Norm" in type(one).__name__ for one in program.model.modules()
    ):
        return None
    if not any(isinstance(one, nn.ReLU) for one in program.model.modules()):
        return None
    return changed(program, lambda one: one.bias.fill_(-10.0), WEIGHTED)


@fault(FAMILY, "only the last layer trained, none loaded")
def frozen_base(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program) or not is_fresh(program):
        return None
    weighted = [one for one in program.model.modules() if isinstance(one, WEIGHTED)]
    sizes = [sum(part.numel() for part in one.parameters()) for one in weighted]
    total = sum(one.numel() for one in program.model.parameters())
    if len(weighted) < 3 or sizes[-1] * 2 >= total or sum(sizes[:-1]) * 2 <= total:
        return None
    program.model.requires_grad_(requires_grad=False)
    weighted[-1].requires_grad_(requires_grad=True)
    return with_optimizer(program)


@fault(FAMILY, "everything frozen")
def frozen(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program):
        return None
    program.model.requires_grad_(requires_grad=False)
    return program


@fault(FAMILY, "the optimizer of another model")
def other_weights(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program):
        return None
    import copy

    return replace(program, model=copy.deepcopy(program.model))


@fault(FAMILY, "the optimizer holds the last layer alone")
def half_optimizer(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program) or not is_fresh(program):
        return None
    weights = list(program.model.parameters())
    if len(weights) < 6:
        return None
    optimizer = torch.optim.Adam(weights[-2:])
    return replace(program, fit_kwargs={**program.fit_kwargs, "optimizer": optimizer})


@fault(FAMILY, "six sigmoid layers")
def saturating(program: Program, seed: int) -> Program | None:
    del seed
    model = program.model
    if not isinstance(model, nn.Sequential) or not isinstance(model[0], nn.Linear):
        return None
    if not is_fresh(program):
        return None
    parts: list[Any] = [nn.Linear(model[0].in_features, 32), nn.Sigmoid()]
    for _ in range(5):
        parts += [nn.Linear(32, 32), nn.Sigmoid()]
    head = nn.Linear(32, model[-1].out_features)
    return with_optimizer(program, nn.Sequential(*parts, head))


@fault(FAMILY, "labels from 1")
def labels_from_one(program: Program, seed: int) -> Program | None:
    del seed
    if not isinstance(loss_of(program), nn.CrossEntropyLoss | nn.NLLLoss) or program.y is None:
        return None
    return replace(program, y=program.y + 1, y_test=program.y_test + 1)


@fault(FAMILY, "class numbers as floats")
def float_labels(program: Program, seed: int) -> Program | None:
    del seed
    if not isinstance(loss_of(program), nn.CrossEntropyLoss) or program.y is None:
        return None
    return replace(program, y=torch.as_tensor(program.y).float(), y_test=None)


@fault(FAMILY, "inputs times 255")
def unscaled(program: Program, seed: int) -> Program | None:
    del seed
    if not is_torch(program) or program.y is None or program.y is program.X:
        return None
    if np.asarray(program.X[:2]).dtype.kind != "f" or not is_fresh(program):
        return None
    kinds = {type(one).__name__ for one in program.model.modules()}
    if any("Norm" in kind for kind in kinds):
        return None
    return replace(program, X=program.X * 255, X_test=program.X_test * 255)


@fault(FAMILY, "a detached body")
def detached(program: Program, seed: int) -> Program | None:
    del seed
    model = program.model
    if not isinstance(model, nn.Sequential) or len(model) < 3 or not is_fresh(program):
        return None
    if not isinstance(model[-1], nn.Linear):
        return None

    class Cut(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.detach()

    return with_optimizer(program, nn.Sequential(*model[:-1], Cut(), model[-1]))


@fault(FAMILY, "one unit too few")
def too_few(program: Program, seed: int) -> Program | None:
    del seed
    model = program.model
    is_ending = isinstance(model, nn.Sequential) and isinstance(model[-1], nn.Linear)
    if not is_ending or not isinstance(loss_of(program), nn.CrossEntropyLoss):
        return None
    if not is_fresh(program):
        return None
    head = nn.Linear(model[-1].in_features, model[-1].out_features - 1)
    return with_optimizer(program, nn.Sequential(*model[:-1], head))
