"""Sound programs in torch, in the styles that people write it, and the loop that trains them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from programs import Program, digits, images, program, table, tokens
from torch import nn
from torch.nn import functional as F  # noqa: N812 - as everybody calls it

if TYPE_CHECKING:
    from collections.abc import Callable

EPOCHS = 10


def module(name: str) -> Callable[[Callable[[int], Program]], Callable[[int], Program]]:
    """Register a torch program; its function is called with torch seeded."""

    def add(make: Callable[[int], Program]) -> Callable[[int], Program]:
        @program("torch", name)
        def seeded(seed: int) -> Program:
            torch.manual_seed(seed)
            return make(seed)

        return seeded

    return add


def of(
    parts: tuple[Any, Any, Any, Any], model: Any, loss: Any, optimizer: Any = None, **more: Any
) -> Program:
    """Return a program on (X, X_test, y, y_test); Adam with its defaults unless told otherwise."""
    X, X_test, y, y_test = parts
    chosen = torch.optim.Adam(model.parameters()) if optimizer is None else optimizer
    given = {"loss": loss, "optimizer": chosen, "batch_size": 32, **more}
    return Program(model, X, y, X_test, y_test, given)


def train(built: Program, epochs: int = EPOCHS) -> dict[str, list[float]]:
    """Train a program by the usual loop; return its curve."""
    model, given = built.model, built.fit_kwargs
    X, y = (torch.as_tensor(np.asarray(part)) for part in (built.X, built.y))
    if isinstance(given["loss"], nn.MSELoss | nn.BCEWithLogitsLoss | nn.HuberLoss):
        y = y.to(torch.float32)
    optimizers = given["optimizer"]
    optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
    curve = []
    model.train()
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(X)).split(given["batch_size"]):
            if len(rows) < 2:
                continue
            model.zero_grad()
            output = model(X[rows])
            target = y[rows]
            if target.ndim < output.ndim and target.numel() == output.numel():
                target = target.reshape(output.shape)
            loss = given["loss"](output, target)
            loss.backward()
            for one in optimizers:
                one.step()
            total += float(loss) * len(rows)
        curve.append(total / len(X))
    model.eval()
    return {"loss": curve}


def tensors(parts: tuple[Any, Any, Any, Any], dtype: Any = None) -> tuple[Any, ...]:
    X, X_test, y, y_test = parts
    return (
        *(torch.as_tensor(np.asarray(one)) for one in (X, X_test)),
        *(torch.as_tensor(np.asarray(one), dtype=dtype) for one in (y, y_test)),
    )


def standard(seed: int) -> tuple[Any, Any, Any, Any]:
    X, X_test, y, y_test = table("diabetes", seed)
    mean, spread = y.mean(), y.std()
    y, y_test = ((one - mean) / spread for one in (y, y_test))
    return X, X_test, y.astype("float32"), y_test.astype("float32")


def mlp(*widths: int) -> nn.Sequential:
    parts: list[Any] = []
    for before, after in itertools.pairwise(widths[:-1]):
        parts += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*parts, nn.Linear(*widths[-2:]))


@module("torch MLP, digits")
def plain(seed: int) -> Program:
    return of(digits(seed), mlp(64, 64, 32, 10), nn.CrossEntropyLoss())


@module("torch MLP, tensors, SGD with momentum")
def momentum(seed: int) -> Program:
    model = mlp(64, 64, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    return of(tensors(digits(seed)), model, F.cross_entropy, optimizer)


@module("torch binary logits")
def binary(seed: int) -> Program:
    model = mlp(30, 32, 1)
    parts = tensors(table("breast_cancer", seed), torch.float32)
    parts = (*parts[:2], parts[2][:, None], parts[3][:, None])
    return of(parts, model, nn.BCEWithLogitsLoss(), torch.optim.AdamW(model.parameters()))


class Squeezed(nn.Module):
    """Ends in one number a row, not in a column of one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(width, 32), nn.Linear(32, 1)

    def forward(self, x: Any) -> Any:
        return self.head(F.relu(self.hidden(x))).squeeze(-1)


@module("torch binary logits, squeezed")
def squeezed(seed: int) -> Program:
    parts = tensors(table("breast_cancer", seed), torch.float32)
    return of(parts, Squeezed(30), nn.BCEWithLogitsLoss(pos_weight=torch.tensor(0.6)))


@module("torch regression, standardised target")
def regression(seed: int) -> Program:
    return of(standard(seed), mlp(10, 32, 16, 1), nn.MSELoss())


@module("torch regression, tensors and Huber")
def huber(seed: int) -> Program:
    parts = tensors(standard(seed))
    return of(parts, Squeezed(10), nn.HuberLoss())


def pixels(seed: int) -> tuple[Any, Any, Any, Any]:
    return digits(seed, (1, 8, 8))


@module("torch CNN with dropout")
def cnn(seed: int) -> Program:
    X, X_test, y, y_test = images(seed)
    X, X_test = (np.moveaxis(one, -1, 1).copy() for one in (X, X_test))
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.LazyLinear(10),
    )
    with torch.no_grad():
        model(torch.zeros(1, 1, 28, 28))
    return of((X, X_test, y, y_test), model, nn.CrossEntropyLoss(), batch_size=128)


@module("torch BatchNorm, SGD with momentum")
def norm(seed: int) -> Program:
    parts: list[Any] = []
    for before, after in ((1, 16), (16, 32)):
        parts += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
        parts += [nn.ReLU(inplace=True)]
    model = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return of(pixels(seed), model, nn.CrossEntropyLoss(), optimizer)


class Residual(nn.Module):
    """Blocks that begin as the identity: the last norm of each starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 48)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(48, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 48))
            for _ in range(3)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(48) for _ in range(3))
        self.head = nn.Linear(48, 10)
        for one in self.norms:
            nn.init.zeros_(one.weight)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.stem(x))
        for block, one in zip(self.blocks, self.norms, strict=True):
            x = (x + one(block(x))).relu()
        return self.head(x)


@module("torch residual net with zero gamma")
def residual(seed: int) -> Program:
    return of(digits(seed), Residual(), nn.CrossEntropyLoss(label_smoothing=0.1))


class Reader(nn.Module):
    """Words to their class by an LSTM's last step."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(200, 16)
        self.lstm = nn.LSTM(16, 24, batch_first=True)
        self.head = nn.Linear(24, 2)

    def forward(self, x: Any) -> Any:
        states, _ = self.lstm(self.embedding(x))
        return self.head(states[:, -1])


@module("torch embedding and LSTM")
def lstm(seed: int) -> Program:
    return of(tokens(seed), Reader(), nn.CrossEntropyLoss())


class Attentive(nn.Module):
    """A transformer's encoder over the rows of an image."""

    def __init__(self, n_blocks: int = 1) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.places = nn.Parameter(torch.randn(1, 8, 32) * 0.02)
        block = nn.TransformerEncoderLayer(
            32, 4, 64, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(block, n_blocks, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.head(self.encoder(self.embed(x) + self.places).mean(dim=1))


@module("torch transformer block with GELU")
def transformer(seed: int) -> Program:
    return of(digits(seed, (8, 8)), Attentive(2), nn.CrossEntropyLoss())


@module("torch log-softmax and NLLLoss")
def logarithms(seed: int) -> Program:
    model = nn.Sequential(mlp(64, 48, 10), nn.LogSoftmax(dim=1))
    return of(digits(seed), model, nn.NLLLoss())


@module("torch GRU on rows")
def gru(seed: int) -> Program:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(8, 32, num_layers=2, batch_first=True, dropout=0.1)
            self.head = nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            return self.head(self.gru(x)[0][:, -1])

    return of(digits(seed, (8, 8)), Rows(), nn.CrossEntropyLoss())


@module("torch autoencoder")
def autoencoder(seed: int) -> Program:
    X, X_test, _, _ = digits(seed)
    model = nn.Sequential(mlp(64, 32, 12), nn.ReLU(), mlp(12, 32, 64), nn.Sigmoid())
    return of((X, X_test, X, X_test), model, nn.MSELoss())


@module("torch multilabel")
def multilabel(seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    y, y_test = (
        np.stack([one % 2, one > 4, one % 3 == 0], 1).astype("float32") for one in (y, y_test)
    )
    return of((X, X_test, y, y_test), mlp(64, 48, 3), nn.BCEWithLogitsLoss())


@module("torch He initialisation, eight ReLU layers")
def kaiming(seed: int) -> Program:
    model = mlp(64, *[48] * 8, 10)
    for one in model:
        if isinstance(one, nn.Linear):
            nn.init.kaiming_normal_(one.weight, nonlinearity="relu")
            nn.init.zeros_(one.bias)
    return of(digits(seed), model, nn.CrossEntropyLoss())


@module("torch warm-up and class weights")
def warm_up(seed: int) -> Program:
    model = mlp(64, 64, 10)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 99))
    optimizer.register_step_post_hook(lambda *_: schedule.step())
    weights = torch.linspace(0.5, 1.5, 10)
    return of(digits(seed), model, nn.CrossEntropyLoss(weight=weights), optimizer)


@module("torch transfer with a frozen base")
def transfer(seed: int) -> Program:
    X, X_test, y, y_test = digits(seed)
    first, second = y < 5, y >= 5
    base = nn.Sequential(nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU())
    before = of(
        (X[first], None, y[first], None),
        nn.Sequential(base, nn.Linear(48, 5)),
        nn.CrossEntropyLoss(),
    )
    train(before)
    base.requires_grad_(requires_grad=False)
    model = nn.Sequential(base, nn.Linear(48, 5))
    test = y_test >= 5
    parts = (X[second], X_test[test], y[second] - 5, y_test[test] - 5)
    optimizer = torch.optim.Adam(model[1].parameters(), lr=1e-2)
    return of(parts, model, nn.CrossEntropyLoss(), optimizer)


@module("torch fine-tuning at 1e-5")
def fine_tuning(seed: int) -> Program:
    parts = digits(seed)
    model = mlp(64, 48, 10)
    train(of(parts, model, nn.CrossEntropyLoss()))
    return of(parts, model, nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=1e-5))


@module("torch segmentation")
def segmentation(seed: int) -> Program:
    X, X_test, _, _ = pixels(seed)
    y, y_test = ((one[:, 0] > 0.5).astype("int64") for one in (X, X_test))
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()
    )
    model.append(nn.Conv2d(16, 2, 1))
    return of((X, X_test, y, y_test), model, nn.CrossEntropyLoss())


@module("torch depthwise convolutions and SiLU")
def depthwise(seed: int) -> Program:
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(16, 16, 3, padding=1, groups=16),
        nn.Conv2d(16, 32, 1),
        nn.GroupNorm(4, 32),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    return of(pixels(seed), model, nn.CrossEntropyLoss())


@module("torch DataLoader")
def loader(seed: int) -> Program:
    from torch.utils.data import DataLoader, TensorDataset

    X, _, y, _ = tensors(digits(seed))
    batches = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    model = mlp(64, 48, 10)
    given = {"loss": nn.CrossEntropyLoss(), "optimizer": torch.optim.Adam(model.parameters())}
    return Program(model, batches, None, fit_kwargs=given)


@module("torch softmax regression")
def linear(seed: int) -> Program:
    model = nn.Linear(64, 10)
    return of(digits(seed), model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), 0.5))


@module("torch Poisson regression")
def poisson(seed: int) -> Program:
    X, X_test, y, y_test = table("diabetes", seed)
    y, y_test = (np.round(one).astype("float32") for one in (y, y_test))
    model = mlp(10, 32, 1)
    return of((X, X_test, y, y_test), model, nn.PoissonNLLLoss())
