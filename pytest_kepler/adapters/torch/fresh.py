"""Whether a module's weights are still those that an initializer gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.torch.inputs import to_numpy

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def _is_initial(values: Floats) -> bool:
    spread = float(values.std())
    size = int(np.prod(values.shape[2:]))
    fan_in, fan_out = values.shape[1] * size, values.shape[0] * size
    bound = 1 / np.sqrt(fan_in)
    if np.abs(values).max() <= bound * (1 + 1e-6) and spread > bound / 2:
        return True  # the default: evenly between -1/sqrt(fan in) and 1/sqrt(fan in)
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
