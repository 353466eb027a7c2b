"""The bench of the probe for torch: a clone of a module, and the steps taken on it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import probing
from pytest_kepler.adapters.probing import ADAM_STEPS, BETAS, EPSILON, FEW, USER_STEPS
from pytest_kepler.adapters.torch.inputs import call, flat, to_numpy
from pytest_kepler.adapters.views import NotApplicable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_kepler.adapters.probing import Batch, Role
    from pytest_kepler.adapters.views import Array, Floats

    LossFunction = Callable[[Any, Any], Any]

_MEMORY_SHARE: Final = 0.8
_MATRIX_RANK: Final = 2
_EMBEDDINGS: Final = ("Embedding", "EmbeddingBag")


def memory_left(device: Any) -> float | None:
    """Return how many bytes of a GPU may still be taken; None for any other device."""
    import torch

    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return float(_MEMORY_SHARE * (free + unused))


class Bench:
    """A clone of a module on its batch.

    Parameters
    ----------
    clone : torch.nn.Module
        Put into training mode here; what makes a step random is switched off.
    batch : tuple
        Inputs and labels, as tensors.
    plain : callable
        The loss as a mean over all rows.
    of_user : callable
        The loss that the user's optimizer sees.
    clip_norm : float, optional
        What the user clips the norm of the gradients to.
    """

    def __init__(
        self,
        clone: Any,
        batch: Batch,
        plain: LossFunction,
        of_user: LossFunction,
        clip_norm: float | None = None,
    ) -> None:
        self.clone, self.batch = clone, batch
        self._plain, self._of_user, self._clip_norm = plain, of_user, clip_norm
        named = [(path, one) for path, one in clone.named_parameters() if one.requires_grad]
        if not named:
            raise NotApplicable("the probe did not run: there is nothing to train")
        self._paths, self.trainable = zip(*named, strict=True)
        self._state = [*clone.parameters(), *clone.buffers()]
        self._start = [one.detach().clone() for one in self._state]
        self.unconnected: set[int] = set()
        into_training(clone)

    @cached_property
    def few(self) -> Batch:
        """The first few rows."""
        x, y = self.batch
        return _mapped(x, lambda one: one[:FEW]), _mapped(y, lambda one: one[:FEW])

    @cached_property
    def few_alike(self) -> Batch:
        """The first few rows with one input for all of them."""
        x, y = self.few
        return _mapped(x, _alike), y

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(next(flat(self.batch[0])))

    @property
    def has_distinct_rows(self) -> bool:
        """Whether any input differs between the rows."""
        return any(bool((one != one[:1]).any()) for one in flat(self.batch[0]))

    @cached_property
    def weights(self) -> Sequence[tuple[str, Role]]:
        """Path and role of each trainable weight."""
        modules = dict(self.clone.named_modules())
        pairs = zip(self._paths, self.trainable, strict=True)
        return [(path, _role(path, one, modules)) for path, one in pairs]

    def labels(self, batch: Batch) -> list[Array]:
        """Return the labels; shares of classes at positions have the classes last."""
        found = to_numpy(batch[1])
        has_shares = found.dtype.kind == "f" and found.ndim > _MATRIX_RANK
        return [np.moveaxis(found, 1, -1) if has_shares else found]

    def loss(self) -> float:
        """Return the loss on the batch in inference mode."""
        import torch

        self.clone.eval()
        with torch.no_grad():
            found = float(self._plain(call(self.clone, self.batch[0]), self.batch[1]))
        into_training(self.clone)
        return found

    def outputs(self) -> list[Array]:
        """Return the outputs on the batch, in inference and in training mode."""
        import torch

        found: list[Array] = []
        with torch.no_grad():
            for prepare in (self.clone.eval, lambda: into_training(self.clone)):
                prepare()
                found += map(to_numpy, flat(call(self.clone, self.batch[0])))
        return [one.astype(np.float64) for one in found]

    def step(self) -> None:
        """Compute the gradients on the batch once, to see how long it takes."""
        self._backward(self._plain, self.batch)

    def adam_run(self, batch: Batch, rate: float, n_steps: int) -> tuple[Floats, Array]:
        """Return the losses before each step, and the size of each gradient at each step."""
        import torch

        self._reset()
        optimizer = torch.optim.Adam(self.trainable, lr=rate, betas=BETAS, eps=EPSILON)
        losses, sizes = [], []
        for _ in range(n_steps):
            losses.append(self._backward(self._plain, batch))
            sizes.append([_size(one.grad) for one in self.trainable])
            optimizer.step()
        return np.asarray(losses), np.asarray(sizes)

    def user_run(self, optimizer: Any, kernels: Sequence[int]) -> tuple[Floats, Floats]:
        """Return the losses under an optimizer, and how far its fourth step moves each kernel."""
        import torch

        self._reset()
        losses, updates = [], np.zeros(0)
        for number in range(USER_STEPS):
            before = [self.units(i) for i in kernels] if number == ADAM_STEPS - 1 else []
            losses.append(self._backward(self._of_user, self.batch))
            if self._clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(self.trainable, self._clip_norm)
            optimizer.step()
            if before:
                updates = probing.moved(before, [self.units(i) for i in kernels], usual=True)
        losses.append(self._backward(self._of_user, self.batch))
        return np.asarray(losses), updates

    def units(self, index: int) -> Array:
        """Return a trainable weight as it is; torch has the units on the first axis."""
        return _units_last(to_numpy(self.trainable[index]).copy())

    def start_of(self, index: int) -> Array:
        """Return a trainable weight as it was at the start."""
        weight = self.trainable[index]
        position = next(i for i, one in enumerate(self._state) if one is weight)
        return to_numpy(self._start[position])

    def _reset(self) -> None:
        """Put every weight and statistic back to the start."""
        import torch

        with torch.no_grad():
            for one, value in zip(self._state, self._start, strict=True):
                one.copy_(value)

    def _backward(self, loss: LossFunction, batch: Batch) -> float:
        self.clone.zero_grad(set_to_none=True)
        total = loss(call(self.clone, batch[0]), batch[1])
        total.backward()
        self.unconnected = {i for i, one in enumerate(self.trainable) if one.grad is None}
        return float(total.detach())


class Together:
    """Several optimizers of the user's own, stepping as one."""

    def __init__(self, optimizers: Sequence[Any]) -> None:
        self._optimizers = optimizers

    def step(self) -> None:
        """Take a step of each."""
        for one in self._optimizers:
            one.step()


def into_training(clone: Any) -> None:
    """Put a clone into training mode, without what makes a step random."""
    clone.train()
    for module in clone.modules():
        name = type(module).__name__
        is_ours = type(module).__module__.startswith("torch.nn.")
        if is_ours and "Dropout" in name:
            module.p = 0.0
        elif is_ours and isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # recurrent layers and attention
        weights = list(module.parameters(recurse=False))
        if "BatchNorm" in name and weights and not any(one.requires_grad for one in weights):
            module.eval()  # a frozen base keeps its statistics


def _role(path: str, weight: Any, modules: Mapping[str, Any]) -> Role:
    owner, _, name = path.rpartition(".")
    kind = type(modules[owner]).__name__
    if kind in _EMBEDDINGS:
        return "embedding"
    is_kernel = weight.ndim >= _MATRIX_RANK and "weight" in name and "Norm" not in kind
    return "kernel" if is_kernel else "other"


def _units_last(values: Array) -> Array:
    return np.moveaxis(values, 0, -1) if values.ndim >= _MATRIX_RANK else values


def _size(gradient: Any) -> float:
    return 0.0 if gradient is None else float(gradient.float().square().mean().sqrt())


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: change(part) for name, part in value.items()}
    return tuple(map(change, value)) if isinstance(value, tuple) else change(value)


def _alike(part: Any) -> Any:
    """Return rows that all are the mean, or the first of them where they are whole numbers."""
    one = part.mean(dim=0, keepdim=True) if part.is_floating_point() else part[:1]
    return one.expand_as(part).clone()
