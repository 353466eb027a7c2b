"""Whether a module's weights are still those that an initializer gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.torch.inputs import to_numpy
from pytest_kepler.adapters.views import Frozen, NotApplicable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_kepler.adapters.views import Array, Floats

_LAYERS: Final = ("Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d")
_SHARE: Final = 0.9
_STD_ERRORS: Final = 5.0
#: Of the uniform, the truncated normal (at two deviations) and the normal distribution: the
#: kurtosis, how far one value moves its estimate, and the largest value in standard deviations.
_SHAPES: Final = ((1.8, 2.3, 1.7321), (2.37, 3.1, 2.2737), (3.0, 4.9, np.inf))
#: Training blurs the ends of a distribution by more.
_BLUR: Final = 1.02
#: An estimate from fewer values says nothing.
_FEW: Final = 64
_MATRIX_RANK: Final = 2
#: Of n even draws the largest is farther from the end than this many n-ths once in 10^8 times.
_GAP: Final = 18


def is_fresh(model: Any, optimizers: Sequence[Any]) -> bool:
    """Tell whether at least 90 % of the weights in kernels look like an initializer's.

    A trained optimizer or BatchNorm tells at once. The initializer is not known: what counts is
    torch's default, which has sharp ends, or values that are as if drawn from a uniform or normal
    distribution, with a spread that the usual initializers give.
    """
    if any(one.state for one in optimizers):
        return False
    fresh = total = 0
    for module in model.modules():
        if getattr(module, "num_batches_tracked", None) is not None and (
            int(module.num_batches_tracked) > 0
        ):
            return False
        if type(module).__name__ not in _LAYERS:
            continue
        values = to_numpy(module.weight)
        total += values.size
        fresh += values.size if _is_initial(values.astype(np.float64)) else 0
    return total == 0 or fresh >= _SHARE * total


def read_frozen(model: Any, called: Iterable[tuple[str, Any]]) -> Frozen:
    """Return what of a module is never trained but comes before something that is.

    What stands behind everything that is trained is left out: of two networks that are trained
    against each other, the second stands still while the first learns. So are embeddings.

    Parameters
    ----------
    called : iterable of (str, torch.nn.Module)
        The names and layers in the order in which they are called.
    """
    owners = {id(one): (name, one) for name, one in called if _own(one)}
    named = list(owners.values())
    trained = [i for i, (_, one) in enumerate(named) if _is_trained(one)]
    if not trained:
        raise NotApplicable("no layer is trained")
    frozen = [
        (name, one)
        for name, one in named[: trained[-1]]
        if not _is_trained(one) and not type(one).__name__.startswith("Embedding")
    ]
    parts = [one for _, one in frozen]
    kernels = [one for one in parts if any(own.ndim >= _MATRIX_RANK for own in _own(one))]
    size = sum(own.numel() for one in parts for own in _own(one))
    total = sum(one.numel() for one in model.parameters())
    return Frozen(
        layers=[name for name, _ in frozen],
        n_kernels=len(kernels),
        share=size / max(1, total),
        is_initial=all(map(_is_drawn, kernels)) and _shows_no_training(parts, kernels),
    )


def _own(module: Any) -> list[Any]:
    return list(module.parameters())


def _is_trained(module: Any) -> bool:
    return any(one.requires_grad for one in _own(module))


def _is_drawn(module: Any) -> bool:
    if type(module).__name__ not in _LAYERS:
        return False
    values = to_numpy(module.weight).astype(np.float64)
    return float(values.std()) > 0 and _is_initial(values)


def _shows_no_training(modules: Sequence[Any], kernels: Sequence[Any]) -> bool:
    """Tell whether something that a first training step would change is as it was made.

    A spread alone says little: a short training hardly changes it.
    """
    norms = [one for one in modules if getattr(one, "running_mean", None) is not None]
    if any(one.running_mean.any() or (one.running_var != 1).any() for one in norms):
        return False
    biases = [one.bias is None or not one.bias.any() for one in kernels]
    sharp = [_reaches_default_ends(to_numpy(one.weight).astype(np.float64)) for one in kernels]
    if not all(zero or ended for zero, ended in zip(biases, sharp, strict=True)):
        return False
    return bool(norms) or any(sharp) or any(one.bias is not None for one in kernels)


def _has_default_ends(values: Floats) -> bool:
    """Tell whether values lie evenly between the ends of torch's default, 1/sqrt(fan in)."""
    bound = 1 / np.sqrt(values[0].size)
    return bool(np.abs(values).max() <= bound * (1 + 1e-6) and values.std() > bound / 2)


def _reaches_default_ends(values: Floats) -> bool:
    """Tell whether the largest value is as near an end as chance has it: a decay shrinks it."""
    bound = 1 / np.sqrt(values[0].size)
    reached = np.abs(values).max() >= bound * (1 - _GAP / values.size)
    return bool(reached and _has_default_ends(values))


def _is_initial(values: Floats) -> bool:
    spread = float(values.std())
    size = int(np.prod(values.shape[2:]))
    fan_in, fan_out = values.shape[1] * size, values.shape[0] * size
    if _has_default_ends(values):
        return True
    if spread <= 1e-6 * np.abs(values).max() or spread == 0:
        return True  # one constant
    return _has_usual_shape(values, spread) and _has_usual_spread(
        spread, values.size, fan_in, fan_out
    )


def _has_usual_shape(values: Array, spread: float) -> bool:
    n = values.size
    if n < _FEW:
        return True
    centred = (values - values.mean()) / spread
    kurtosis, largest = float(np.mean(centred**4)), float(np.abs(centred).max())
    is_centred = abs(values.mean()) <= _STD_ERRORS * spread / np.sqrt(n)
    return is_centred and any(
        abs(kurtosis - known) <= _STD_ERRORS * deviation / np.sqrt(n)
        and largest <= _BLUR * end * (1 + _STD_ERRORS / np.sqrt(n))
        for known, deviation, end in _SHAPES
    )


def _has_usual_spread(spread: float, n: int, fan_in: int, fan_out: int) -> bool:
    """Tell whether a spread is one of Glorot's, He's or LeCun's, or a round number."""
    fans = (fan_in, fan_out, (fan_in + fan_out) / 2)
    usual = [np.sqrt(gain / fan) for gain in (1, 2, 25 / 9) for fan in fans]
    # By one digit: 0.02, 0.1, 1.
    exponent = np.floor(np.log10(spread))
    usual.append(round(spread / 10**exponent) * 10**exponent)
    tolerance = max(_STD_ERRORS * spread / np.sqrt(2 * n), 1e-3 * spread)
    # A truncation at two deviations takes an eighth of the spread.
    return any(abs(spread - one * cut) <= tolerance for one in usual for cut in (1.0, 0.8796))
