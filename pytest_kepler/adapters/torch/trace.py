"""The layers of a module, as one forward pass on a few rows shows them.

Modules of torch are layers by themselves; between them, the functions that a `forward` of the
user's own calls are. What a tensor was made from is known by the tensors that went in.
"""

from __future__ import annotations

import functools
import weakref
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters.torch.inputs import call, flat
from pytest_kepler.adapters.views import Layer, NotApplicable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_DENSE: Final = {"LazyLinear", "Linear", "NonDynamicallyQuantizableLinear"}
_RECURRENT: Final = {"GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNCell"}
_ACTIVATIONS: Final[Mapping[str, str]] = {
    "CELU": "celu",
    "ELU": "elu",
    "GELU": "gelu",
    "GLU": "glu",
    "Hardsigmoid": "hard_sigmoid",
    "Hardswish": "hard_swish",
    "Hardtanh": "hard_tanh",
    "LeakyReLU": "leaky_relu",
    "LogSigmoid": "log_sigmoid",
    "LogSoftmax": "log_softmax",
    "Mish": "mish",
    "PReLU": "prelu",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SELU": "selu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Softmax2d": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
    "Tanhshrink": "tanhshrink",
}
_ACTIVATING: Final[Mapping[str, str]] = {
    **{name: name for name in _ACTIVATIONS.values()},
    "exp": "exponential",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "hardtanh": "hard_tanh",
    "logsigmoid": "log_sigmoid",
    "special_softmax": "softmax",
    "special_log_softmax": "log_softmax",
}
#: Functions that hand their input on: moved, dropped or cut, but not changed in value.
_PASSIVE: Final = {
    "__get__",
    "__getitem__",
    "chunk",
    "clone",
    "contiguous",
    "cpu",
    "cuda",
    "detach",
    "double",
    "expand",
    "flatten",
    "float",
    "half",
    "movedim",
    "narrow",
    "pad",
    "permute",
    "repeat",
    "reshape",
    "select",
    "split",
    "squeeze",
    "swapaxes",
    "t",
    "to",
    "transpose",
    "type",
    "unbind",
    "unflatten",
    "unsqueeze",
    "view",
}
_PASSIVE_MODULES: Final = {"Flatten", "Identity", "Unflatten"}
_PRODUCTS: Final = {"__mul__", "__rmul__", "mul", "multiply"}
_SUMS: Final = {"__add__", "__radd__", "add"}


@dataclass(frozen=True, slots=True)
class Event:
    """Something that made a tensor: a module of torch, or a function.

    ``axis_size`` is the length of the axis that a softmax normalises, where it is one of a row.
    """

    name: str
    class_name: str
    kind: str
    activation: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    module: Any = None
    axis_size: int | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """The layers on the way to the outputs.

    Attributes
    ----------
    layers : sequence of Layer
        In the order in which they were called.
    events : sequence of Event
        Of each layer, what made it.
    places : sequence of int
        Of each layer, its place among all that happened in a forward pass.
    ends : sequence of int
        Of each output, the layer that it comes from.
    cells : int
        Values that all layers hold for one row.
    """

    layers: Sequence[Layer]
    events: Sequence[Event]
    places: Sequence[int]
    ends: Sequence[int]
    cells: int

    def last_changing(self, output: int) -> int:
        """Return the position of the layer that last changes the values of an output."""
        position = self.ends[output]
        while self.layers[position].kind == "passive" and self.layers[position].inputs:
            position = self.layers[position].inputs[0]
        return position


def trace(model: Any, inputs: Any) -> Graph:
    """Call a module once, without gradients, and return its layers.

    Raises
    ------
    NotApplicable
        If an output comes from nothing that could be followed.
    """
    recorder = _Recorder(model)
    outputs = _recorded(model, inputs, recorder)
    owners = [recorder.owner_of(one) for one in flat(outputs)]
    ends = [one for one in owners if one is not None]
    if not ends or len(ends) < len(owners):
        raise NotApplicable("the outputs do not come from layers that can be seen")
    return _graph(recorder.events, ends)


def values_at(
    model: Any, inputs: Any, wanted: Mapping[int, Callable[[Any, Any], Any]], n_events: int
) -> dict[int, Any]:
    """Call a module once; return what functions of some places' (inputs, output) give.

    Parameters
    ----------
    wanted : mapping of int to callable
        By the place in a forward pass, as `Graph.places` has it.
    n_events : int
        How many places there were before.

    Raises
    ------
    NotApplicable
        If the forward pass takes another way this time.
    """
    recorder = _Recorder(model, wanted)
    _recorded(model, inputs, recorder)
    if len(recorder.events) < n_events or len(recorder.found) < len(wanted):
        raise NotApplicable("the forward pass depends on the rows")
    return recorder.found


def _recorded(model: Any, inputs: Any, recorder: _Recorder) -> Any:
    import torch

    leaves = [one for one in model.modules() if _is_leaf(one)]
    handles = [one.register_forward_pre_hook(recorder.enter) for one in leaves]
    handles += [one.register_forward_hook(recorder.leave, with_kwargs=True) for one in leaves]
    recorder.begin(inputs)
    try:
        with torch.no_grad(), _mode_class()(recorder.called):
            return call(model, inputs)
    finally:
        for handle in handles:
            handle.remove()


def _is_leaf(module: Any) -> bool:
    """Tell whether a module is one layer: of torch, and no mere container of others."""
    if not type(module).__module__.startswith("torch.nn."):
        return False
    is_whole = type(module).__name__ == "MultiheadAttention"
    return is_whole or not any(True for _ in module.children())


@functools.cache
def _mode_class() -> Any:
    from torch.overrides import TorchFunctionMode

    class Listening(TorchFunctionMode):  # type: ignore[misc]  # torch is untyped here
        """Tells of every function that is called on tensors."""

        def __init__(self, tell: Callable[..., None]) -> None:
            super().__init__()
            self._tell = tell

        def __torch_function__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            del types
            found = function(*args, **(kwargs or {}))
            self._tell(function, args, kwargs or {}, found)
            return found

    return Listening


@dataclass
class _Recorder:
    """Notes what makes tensors in a forward pass, each with what it was made from."""

    model: Any
    wanted: Mapping[int, Callable[[Any, Any], Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    found: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._names = {id(module): name for name, module in self.model.named_modules()}
        # By the id, which may be given to another tensor when the first is gone.
        self._owners: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._depth = 0
        self._counts: Counter[str] = Counter()

    def begin(self, inputs: Any) -> None:
        """Note the inputs."""
        for position, tensor in enumerate(flat(inputs)):
            self._note(Event(f"input {position}", "Input", "input", "linear", (), ()), tensor)

    def owner_of(self, tensor: Any) -> int | None:
        """Return what made a tensor."""
        known = self._owners.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def enter(self, module: Any, args: Any) -> None:
        """Begin a layer: the functions that it calls are its own."""
        del module, args
        self._depth += 1

    def leave(self, module: Any, args: Any, kwargs: Any, output: Any) -> None:
        """End a layer."""
        if self._depth == 1:
            given = (args, kwargs)
            name = self._names.get(id(module)) or type(module).__name__
            self._add(_of_module(module, name, given, self._inputs(given)), given, output)
        self._depth -= 1

    def called(self, function: Any, args: Any, kwargs: Any, output: Any) -> None:
        """Note a function that was called outside of torch's own layers."""
        if self._depth:
            return
        given = (args, kwargs)
        inputs = self._inputs(given)
        if not inputs or next(flat(output), None) is None:
            return
        name = str(getattr(function, "__name__", "function"))
        plain = name if name.startswith("__") else name.rstrip("_")
        self._counts[plain] += 1
        count = self._counts[plain]
        shown = plain.strip("_") if count == 1 else f"{plain.strip('_')} {count}"
        self._add(_of_function(plain, shown, given, inputs), given, output)

    def _inputs(self, given: Any) -> tuple[int, ...]:
        owners = map(self.owner_of, flat(given))
        return tuple(dict.fromkeys(one for one in owners if one is not None))

    def _add(self, event: Event, given: Any, output: Any) -> None:
        measure = self.wanted.get(len(self.events))
        if measure is not None:
            self.found[len(self.events)] = measure(given, output)
        self._note(event, output)

    def _note(self, event: Event, output: Any) -> None:
        made = list(flat(output))
        shape = tuple(made[0].shape) if made else ()
        for tensor in made:
            self._owners[id(tensor)] = weakref.ref(tensor), len(self.events)
        self.events.append(replace(event, shape=shape))


def _of_module(module: Any, name: str, given: Any, inputs: tuple[int, ...]) -> Event:
    kind_name = type(module).__name__
    rate = getattr(module, "p", None) if "Dropout" in kind_name else None
    activation = _ACTIVATIONS.get(kind_name)
    kind = _kind(module, kind_name)
    is_named = activation is not None or kind in {"dense", "conv", "grouped conv", "recurrent"}
    return Event(
        name,
        kind_name,
        kind,
        activation or ("linear" if is_named or kind == "passive" else "unknown"),
        inputs,
        (),
        module,
        _axis_size(getattr(module, "dim", None), given) if activation == "softmax" else None,
        float(rate) if isinstance(rate, int | float) else None,
    )


def _kind(module: Any, name: str) -> str:
    if name.startswith(("Conv", "LazyConv")):
        return "conv" if getattr(module, "groups", 1) == 1 else "grouped conv"
    known = {
        "dense": name in _DENSE,
        "batchnorm": "BatchNorm" in name,
        "recurrent": name in _RECURRENT,
        "embedding": name.startswith("Embedding"),
        "activation": name in _ACTIVATIONS,
        "passive": name in _PASSIVE_MODULES or "Dropout" in name or "Pad" in name,
    }
    return next((kind for kind, is_so in known.items() if is_so), "other")


def _of_function(name: str, shown: str, given: Any, inputs: tuple[int, ...]) -> Event:
    args, kwargs = given
    activation = _ACTIVATING.get(name)
    if "dropout" in name:
        rate = kwargs.get("p", 0.5) if len(args) < 2 else args[1]  # noqa: PLR2004 - the rate
        return Event(shown, "Dropout", "passive", "linear", inputs, (), rate=float(rate))
    if activation is not None:
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        size = _axis_size(dim, given) if activation == "softmax" else None
        return Event(shown, name, "activation", activation, inputs, (), axis_size=size)
    if name in _PASSIVE:
        return Event(shown, name, "passive", "linear", inputs, ())
    is_product = name in _PRODUCTS and len(inputs) > 1
    class_name = "Multiply" if is_product else "Add" if name in _SUMS else name
    return Event(shown, class_name, "other", "unknown", inputs, ())


def _axis_size(dim: Any, given: Any) -> int | None:
    """Return the length of the axis that a softmax normalises; None for that of the rows."""
    tensor = next(flat(given))
    if dim is None:
        dim = 1 if tensor.ndim > 1 else 0
    if not isinstance(dim, int) or dim % tensor.ndim == 0:
        return None
    return int(tensor.shape[dim])


def _graph(events: Sequence[Event], ends: Sequence[int]) -> Graph:
    kept: set[int] = set()
    waiting = list(ends)
    while waiting:
        one = waiting.pop()
        if one not in kept:
            kept.add(one)
            waiting += events[one].inputs
    places = sorted(kept)
    position = {place: i for i, place in enumerate(places)}
    readers = Counter(source for place in places for source in events[place].inputs)
    layers = [_layer(events[place], position, readers[place]) for place in places]
    cells = sum(int(np.prod(one.shape[1:])) for one in events)
    return Graph(
        layers,
        [events[place] for place in places],
        places,
        [position[one] for one in ends],
        cells,
    )


def _layer(event: Event, position: Mapping[int, int], n_readers: int) -> Layer:
    module = event.module
    units = next(
        (
            size
            for name in ("out_features", "out_channels", "hidden_size", "embedding_dim")
            if isinstance(size := getattr(module, name, None), int)
        ),
        None,
    )
    width_in = getattr(module, "in_features", getattr(module, "in_channels", None))
    parameters = () if module is None else tuple(module.parameters())
    return Layer(
        name=event.name,
        kind=event.kind,
        class_name=event.class_name,
        activation=event.activation,
        units=units,
        width_in=width_in if isinstance(width_in, int) else None,
        is_trainable=any(one.requires_grad for one in parameters),
        inputs=tuple(position[source] for source in event.inputs),
        n_readers=n_readers,
        rate=event.rate,
    )
