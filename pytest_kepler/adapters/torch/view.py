"""A torch module as the checks see it: its layers, its loss, one forward batch and the probe."""

from __future__ import annotations

import contextlib
import copy
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_kepler.adapters import graph, probing
from pytest_kepler.adapters.sampling import chosen_rows
from pytest_kepler.adapters.torch import losses as reading
from pytest_kepler.adapters.torch import probe as benches
from pytest_kepler.adapters.torch.fresh import is_fresh, read_frozen
from pytest_kepler.adapters.torch.inputs import (
    call,
    cells_of,
    flat,
    is_loaded,
    place_of,
    read_loader,
    rows_of,
    tensors,
    to_numpy,
    untouched_globals,
)
from pytest_kepler.adapters.torch.trace import trace, values_at
from pytest_kepler.adapters.views import (
    BATCH_CELLS,
    BATCH_ROWS,
    Array,
    Broadcast,
    FirstSignal,
    Frozen,
    Layer,
    LayerSignal,
    Loss,
    Metric,
    ModelView,
    Modes,
    NotApplicable,
    Output,
    Probe,
    is_loader,
    is_tensor,
    quiet_failures,
    read_blocks,
)
from pytest_kepler.errors import KeplerUsageError, nearest
from pytest_kepler.records import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_kepler.adapters.torch.trace import Event, Graph

#: What a check may be told of how a module is trained.
_ARGUMENTS: Final = (
    *("loss", "optimizer", "batch_size", "shuffle", "clip_norm", "epochs"),
    *("validation_data", "validation_split", "sample_weight", "class_weight", "groups"),
)
#: Modules with more parameters are not copied to be called.
_COPIED_PARAMETERS: Final = 50_000_000
_MATRIX_RANK: Final = 2
#: How far from 1 the shares of a row may sum.
_SUM_OFF: Final = 1e-3
_WITH_CHANNELS: Final = {"conv", "grouped conv", "batchnorm"}
_CLASSES: Final = {"sparse", "categorical", "binary"}


def matches(model: object) -> bool:
    """Tell whether `model` is a torch module, without importing torch."""
    return is_loaded() and isinstance(model, sys.modules["torch"].nn.Module)


@dataclass(frozen=True)
class TorchView(ModelView):
    """A torch module, the rows and the loss that it is about to be trained with."""

    source: Any = None
    labels: Any = None
    loss: Any = None
    optimizers: tuple[Any, ...] = ()
    batch_size: int | None = None
    clip_norm: float | None = None
    #: Added to the seed of a forward pass, so that random layers answer otherwise.
    seed_shift: int = 0

    @property
    def is_network(self) -> bool:
        """Always."""
        return True

    @property
    def optimizer(self) -> Any:
        """The first optimizer that was given."""
        return self.optimizers[0] if self.optimizers else None

    @property
    def backend(self) -> str:
        """Torch itself."""
        return "torch"

    @property
    def metrics(self) -> Sequence[Metric]:
        """None: a module is not told how it is judged."""
        return ()

    @property
    def penalties(self) -> Mapping[str, float]:
        """None: weight decay belongs to the optimizer."""
        return EMPTY

    # --- Copies and rows ------------------------------------------------------------------

    @cached_property
    def _module(self) -> Any:
        """The module itself, out of what compiles it or spreads it over devices."""
        inner = getattr(self.model, "_orig_mod", self.model)
        is_spread = type(inner).__name__ in {"DataParallel", "DistributedDataParallel"}
        return inner.module if is_spread else inner

    @cached_property
    def _rows(self) -> tuple[Any, Any]:
        """(inputs, labels), of a loader those of its dataset."""
        if is_loader(self.source):
            X, y, _ = read_loader(self.source)
            return X, y
        if self.source is None:
            raise NotApplicable("no inputs were given")
        return self.source, self.labels

    @cached_property
    def _copy(self) -> Any:
        """A copy of the module in inference mode: nothing of the user's is touched."""
        if sum(one.numel() for one in self._module.parameters() if not _is_lazy(one)) > (
            _COPIED_PARAMETERS
        ):
            raise NotApplicable("the model is too large to be copied")
        return self._copied()[0]

    def _copied(self) -> tuple[Any, list[Any]]:
        """Return copies of the module and of the optimizers, which hold the copy's weights."""
        hooks = _hooks_of_users(self._module)
        if hooks:
            raise NotApplicable(f"hooks of your own would be called: {hooks[0]}")
        memo: dict[int, Any] = {}
        with quiet_failures("the model cannot be copied"):
            module = copy.deepcopy(self._module, memo)
            optimizers = [copy.deepcopy(one, memo) for one in self.optimizers]
        module.eval()
        if any(map(_is_lazy, module.parameters())):
            with self._calling():
                call(module, tensors(rows_of(self._rows[0], slice(2)), module))
        return module, optimizers

    @cached_property
    def _batch(self) -> Any:
        """The first rows of the inputs, as tensors."""
        X = self._rows[0]
        n_rows = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, cells_of(X))))
        return tensors(rows_of(X, slice(n_rows)), self._copy)

    def _calling(self) -> Any:
        """Return what a call of a copy happens in: no random state is changed by it."""
        import torch

        stack = contextlib.ExitStack()
        stack.enter_context(untouched_globals())
        stack.enter_context(quiet_failures())
        stack.enter_context(torch.no_grad())
        torch.manual_seed(self.seed_shift)
        return stack

    # --- Structure ------------------------------------------------------------------------

    @cached_property
    def _graph(self) -> Graph:
        X = tensors(rows_of(self._rows[0], slice(2)), self._copy)
        with self._calling():
            return trace(self._copy, X)

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """The layers in the order in which they are called."""
        return self._graph.layers

    @cached_property
    def losses(self) -> Sequence[Loss | None]:
        """The loss of the output; of several outputs, only the user knows what becomes of them."""
        if self.loss is None:
            return []
        try:
            shapes = [one.shape for one in self.batch_outputs]
            labels = self._rows[1]
        except NotApplicable:
            return [reading.read(self.loss, None, ())]
        if len(shapes) != 1:
            return [Loss("custom", "a loss of several outputs")] * len(shapes)
        return [reading.read(self.loss, labels, shapes[0])]

    @cached_property
    def outputs(self) -> Sequence[Output]:
        """The outputs with their losses."""
        losses, arrays = self.losses, self.batch_outputs
        given = [losses[i] if i < len(losses) else None for i in range(len(arrays))]
        try:
            found = self._graph
        except NotApplicable:
            return [
                Output("output", _units(array, loss), array.ndim, _by_values(array), loss=loss)
                for array, loss in zip(arrays, given, strict=True)
            ]
        return [
            _output(found, i, array, loss)
            for i, (array, loss) in enumerate(zip(arrays, given, strict=True))
        ]

    @property
    def variables(self) -> Iterator[tuple[str, Array]]:
        """All weights and statistics."""
        for path, one in (*self._module.named_parameters(), *self._module.named_buffers()):
            if not _is_lazy(one):
                yield path, to_numpy(one)

    @property
    def n_parameters(self) -> tuple[int, int]:
        """The number of trainable parameters, and of all."""
        module = self._copy if any(map(_is_lazy, self._module.parameters())) else self._module
        sizes = [(one.numel(), one.requires_grad) for one in module.parameters()]
        return sum(size for size, is_on in sizes if is_on), sum(size for size, _ in sizes)

    @cached_property
    def forgotten_weights(self) -> Sequence[str]:
        """The trainable weights that no optimizer holds; none where no optimizer was given."""
        if not self.optimizers:
            return ()
        groups = [group for one in self.optimizers for group in one.param_groups]
        held = {id(weight) for group in groups for weight in group["params"]}
        named = self._module.named_parameters()
        return [path for path, one in named if one.requires_grad and id(one) not in held]

    @property
    def n_trainable_weights(self) -> int:
        """The number of weights that take a gradient."""
        return sum(one.requires_grad for one in self._module.parameters())

    @cached_property
    def is_fresh(self) -> bool:
        """Whether the weights are as an initializer made them."""
        if any(map(_is_lazy, self._module.parameters())):
            return True
        return is_fresh(self._module, self.optimizers)

    @cached_property
    def is_thinned(self) -> bool:
        """Whether weights are made small or zero on purpose."""
        if any(name.endswith("_mask") for name, _ in self._module.named_buffers()):
            return True  # pruned by torch itself
        if any(group.get("weight_decay") for one in self.optimizers for group in one.param_groups):
            return True
        return graph.has_small_weights(map(to_numpy, self._copy.parameters()))

    @cached_property
    def frozen(self) -> Frozen:
        """The layers that are never trained but come before some that are."""
        found = self._graph
        called = zip(found.layers, found.events, strict=True)
        modules = [(layer.name, event.module) for layer, event in called]
        return read_frozen(self._copy, [one for one in modules if one[1] is not None])

    # --- One batch forward ----------------------------------------------------------------

    @cached_property
    def batch_outputs(self) -> Sequence[Array]:
        """The outputs on the first rows, in inference mode."""
        module, batch = self._copy, self._batch
        with self._calling():
            found = [to_numpy(one) for one in flat(call(module, batch))]
        if not found:
            raise NotApplicable("the model gives no tensor")
        if any(not one.ndim for one in found):
            raise NotApplicable("the model gives a single number, not one a row")
        return found

    @cached_property
    def first_signals(self) -> Sequence[FirstSignal]:
        """The pre-activations of the layers that see the inputs first."""
        found = self._graph
        chosen = [
            position
            for position in graph.first_weighted(found.layers)
            if found.layers[position].kind in {"dense", "conv", "recurrent"}
        ]
        if not chosen:
            raise NotApplicable("no dense, convolutional or recurrent layer sees the inputs first")
        sizes = self._values({one: _size_measure(found.events[one]) for one in chosen})
        readers = {one: [layer for layer in found.layers if one in layer.inputs] for one in chosen}
        return [
            FirstSignal(
                found.layers[one].name,
                sizes[one][0],
                sizes[one][1],
                any("Norm" in layer.class_name for layer in readers[one]),
            )
            for one in chosen
        ]

    @cached_property
    def layer_signals(self) -> Sequence[LayerSignal]:
        """What the hidden activations that can die or saturate give on the first rows."""
        found = self._graph
        ends = {found.last_changing(i) for i in range(len(found.ends))}
        chosen = [
            position
            for position, layer in enumerate(found.layers)
            if layer.activation in graph.WATCHED and position not in ends
        ]
        if not chosen:
            raise NotApplicable("there is no hidden layer that could die or saturate")
        measures = {
            one: _unit_measure(found.layers[one].activation, _has_channels(found, one))
            for one in chosen
        }
        values = self._values(measures)
        return [_signal(found.layers, one, values[one]) for one in chosen]

    @cached_property
    def score_sizes(self) -> Mapping[str, float]:
        """The size of what stands before the last softmax or sigmoid, on the first rows."""
        found, sizes = self._graph, {}
        for i, output in enumerate(self.outputs):
            if output.loss is None or output.loss.kind not in _CLASSES:
                continue
            position = found.last_changing(i)
            if output.activation in {"softmax", "sigmoid", "log_softmax"}:
                sources = found.layers[position].inputs
                position = sources[0] if len(sources) == 1 else -1
            elif output.activation != "linear":
                continue
            if position >= 0 and found.layers[position].kind in {"dense", "conv"}:
                measured = self._values({position: _size_measure(None)})
                sizes[output.name] = measured[position][0]
        if not sizes:
            raise NotApplicable("no output has scores of classes that can be seen")
        return sizes

    def _values(self, measures: Mapping[int, Any]) -> dict[int, Any]:
        """Return what measures say of some layers' (inputs, output) on the first rows."""
        found = self._graph
        n_rows = probing.ACTIVATION_CELLS // max(1, found.cells)
        if n_rows < 2:  # noqa: PLR2004 - a spread takes two
            raise NotApplicable("its layers are too large to be looked at")
        wanted = {found.places[one]: measure for one, measure in measures.items()}
        batch = tensors(rows_of(self._batch, slice(n_rows)), self._copy)
        with self._calling():
            values = values_at(self._copy, batch, wanted, found.places[-1] + 1)
        return {one: values[found.places[one]] for one in measures}

    def broadcast(self, labels: Any) -> Broadcast | None:
        """Return the shapes that a loss compares each with each, where it does."""
        del labels
        given = self._rows[1]
        if self.loss is None or given is None or len(self.batch_outputs) != 1:
            raise NotApplicable("there is not one loss of one output")
        outputs = self.batch_outputs[0]
        true = to_numpy(given) if is_tensor(given) else np.asarray(given)
        true = true[: len(outputs)]
        is_certain = is_tensor(given)
        loss = self.losses[0]
        if loss is None or true.size != outputs.size or true.shape == outputs.shape:
            return None
        if loss.kind == "numeric":
            both = np.broadcast_shapes(outputs.shape, true.shape)
            return (
                Broadcast(outputs.shape, true.shape, is_certain)
                if np.prod(both) > outputs.size
                else None
            )
        if loss.kind != "custom" or not is_certain:
            return None
        import torch

        own = reading.of_user(self.loss, len(outputs), None)
        with self._calling():
            pairs = probing.compares_each_with_each(
                lambda one, other: float(own(torch.as_tensor(one), torch.as_tensor(other))),
                outputs,
                true,
            )
        return Broadcast(outputs.shape, true.shape, is_certain) if pairs else None

    # --- The probe ------------------------------------------------------------------------

    def modes(self, labels: Any) -> Modes:
        """Return what a copy answers for the first rows in both modes; no loss is known."""
        del labels
        norms = [
            (name, one)
            for name, one in self._module.named_modules()
            if getattr(one, "num_batches_tracked", None) is not None
            and any(weight.requires_grad for weight in one.parameters())
        ]
        if not norms:
            raise NotApplicable("there is no batch normalisation that is trained")
        module, _ = self._copied()
        batch = tensors(self._batch, module)
        with self._calling(), quiet_failures("a copy of the model cannot be called"):
            found = [[to_numpy(one) for one in flat(call(module, batch))]]
            benches.into_training(module)
            found.append([to_numpy(one) for one in flat(call(module, batch))])
        if any(len(arrays) != 1 for arrays in found):
            raise NotApplicable("the model has several outputs")
        n_steps = min(int(one.num_batches_tracked) for _, one in norms)
        names = [name or type(one).__name__ for name, one in norms]
        return Modes(found[0][0], found[1][0], None, names, n_steps)

    def probe(self, labels: Any, max_parameters: int) -> Probe:
        """Take a few training steps on a copy."""
        del labels
        import torch

        X, y = self._rows
        if self.loss is None:
            raise NotApplicable("no loss was given")
        if y is None:
            raise NotApplicable("no target was given")
        size = sum(one.numel() for one in self._module.parameters() if not _is_lazy(one))
        device, _ = place_of(self._module)
        probing.require_size(size, max_parameters, benches.memory_left(device))
        with untouched_globals(), quiet_failures("the probe did not run"), torch.enable_grad():
            n_rows = read_blocks(X)[0].n_rows
            limit = probing.n_rows_for(n_rows, cells_of(X), self._graph.cells)
            rows = chosen_rows(to_numpy(y) if is_tensor(y) else y, n_rows, limit)
            torch.manual_seed(0)
            module, optimizers = self._copied()
            batch = tensors(rows_of(X, rows), module), self._labels(rows_of(y, rows), module)
            bench = benches.Bench(
                module,
                batch,
                reading.plain(self.loss),
                reading.of_user(self.loss, limit, self.batch_size),
                self.clip_norm,
            )
            return probing.run(bench, lambda: _stepping(optimizers), (1.0,))

    def _labels(self, labels: Any, module: Any) -> Any:
        """Return labels as the loss takes them; tensors stay as they are."""
        import torch

        device, dtype = place_of(module)
        if is_tensor(labels):
            return labels.to(device)
        values = np.asarray(labels)
        loss, shape = self.losses[0], self.batch_outputs[0].shape
        if values.dtype.kind not in "biuf":
            raise NotApplicable("the labels are no numbers")
        if loss is not None and loss.kind == "sparse":
            dtype = torch.int64
            values = values[:, 0] if values.shape[1:] == (1,) else values
        elif loss is not None and loss.kind != "custom" and values[:1].size == np.prod(shape[1:]):
            values = values.reshape(len(values), *shape[1:])
        return torch.as_tensor(values).to(device, dtype)


def view(
    model: Any, X: Any = None, y: Any = None, fit_kwargs: Mapping[str, Any] = EMPTY
) -> TorchView:
    """Return the view of a torch module that is about to be trained on `X` and `y`.

    Raises
    ------
    KeplerUsageError
        If an argument is unknown, and no ``fit`` of the module's own could take it.
    """
    unknown = [name for name in fit_kwargs if name not in _ARGUMENTS]
    if unknown and not hasattr(model, "fit"):
        raise KeplerUsageError(
            f"A check of a torch module takes no argument {unknown[0]!r}: "
            f"{nearest(unknown[0], _ARGUMENTS)}"
        )
    given = fit_kwargs.get("optimizer")
    optimizers = tuple(given) if isinstance(given, list | tuple) else (given,)
    batch_size, clip_norm = fit_kwargs.get("batch_size"), fit_kwargs.get("clip_norm")
    if batch_size is None and is_loader(X):
        batch_size = getattr(X, "batch_size", None)
    return TorchView(
        framework="torch",
        model=model,
        name=type(model).__name__,
        tolerates_missing=False,
        source=X,
        labels=y,
        loss=fit_kwargs.get("loss"),
        optimizers=tuple(one for one in optimizers if hasattr(one, "param_groups")),
        batch_size=batch_size if isinstance(batch_size, int) else None,
        clip_norm=float(clip_norm) if isinstance(clip_norm, int | float) else None,
    )


def _is_lazy(parameter: Any) -> bool:
    return "Uninitialized" in type(parameter).__name__


def _hooks_of_users(module: Any) -> list[str]:
    """Return the hooks that are not torch's own, by the place that each is at."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    found = []
    for name, part in module.named_modules():
        for kind in kinds:
            for hook in getattr(part, kind, {}).values():
                owner = getattr(hook, "__module__", None) or type(hook).__module__
                if not str(owner).startswith("torch."):
                    found.append(f"{kind.strip('_')} of {name or 'the model'}")
    return found


def _stepping(optimizers: Sequence[Any]) -> tuple[Any, float, bool]:
    """Return (what steps, the largest rate, whether a schedule sets it)."""
    if not optimizers:
        raise NotApplicable("no optimizer was given")
    if any(type(one).__name__ == "LBFGS" for one in optimizers):
        raise NotApplicable("LBFGS takes several gradients a step")
    groups = [group for one in optimizers for group in one.param_groups]
    is_scheduled = any("initial_lr" in group for group in groups)
    stepping = optimizers[0] if len(optimizers) == 1 else benches.Together(optimizers)
    return stepping, max(float(group.get("lr", 0.0)) for group in groups), is_scheduled


# --- Reading outputs and layers -----------------------------------------------------------


def _units(array: Array, loss: Loss | None) -> int:
    if array.ndim == 1:
        return 1
    has_positions = loss is not None and loss.kind in {"sparse", "categorical"}
    return int(array.shape[1 if has_positions else -1])


def _output(found: Graph, i: int, array: Array, loss: Loss | None) -> Output:
    position = found.last_changing(i)
    layer = found.layers[position]
    activation = layer.activation
    if layer.kind not in {"dense", "conv", "activation"}:
        # Whatever stands last may do anything: only the batch can tell.
        activation = _by_values(array)
    return Output(
        name=layer.name,
        units=_units(array, loss),
        rank=array.ndim,
        activation=activation,
        axis_size=found.events[position].axis_size,
        loss=loss,
    )


def _by_values(array: Array) -> str:
    """Return ``softmax`` where the rows are shares that sum to 1, else ``unknown``."""
    if array.ndim != _MATRIX_RANK or array.shape[1] < 2:  # noqa: PLR2004 - several classes
        return "unknown"
    sums = array.astype(np.float64).sum(axis=1)
    is_share = bool((array >= 0).all() and np.abs(sums - 1).max(initial=0.0) <= _SUM_OFF)
    return "softmax" if is_share else "unknown"


def _size_measure(event: Event | None) -> Any:
    """Return a measure of the size before an activation: (root mean square, number of rows)."""

    def measure(given: Any, output: Any) -> tuple[float, int]:
        value = next(flat(output))
        kernel = getattr(getattr(event, "module", None), "weight_ih_l0", None)
        if kernel is not None:  # a recurrent layer: what it computes from the inputs alone
            value = next(flat(given)) @ kernel.T
        return float(value.float().square().mean().sqrt()), len(value)

    return measure


def _unit_measure(activation: str, has_channels: bool) -> Any:
    """Return a measure of a layer's units: (number, rows, share dead, share saturated)."""

    def measure(given: Any, output: Any) -> tuple[int, int, float, float]:
        del given
        values = next(flat(output))
        units = values.movedim(1, -1) if has_channels and values.ndim > _MATRIX_RANK else values
        columns = units.reshape(-1, units.shape[-1])
        low, high = graph.ENDS.get(activation, (-np.inf, np.inf))
        at_ends = ((columns < low) | (columns > high)).float().mean()
        dead = (columns == 0).all(dim=0).float().mean()
        return columns.shape[1], len(values), float(dead), float(at_ends)

    return measure


def _has_channels(found: Graph, position: int) -> bool:
    """Tell whether the units of a layer's values are on the second axis, as convolutions' are."""
    layer = found.layers[position]
    while len(layer.inputs) == 1:
        layer = found.layers[layer.inputs[0]]
        if layer.kind in _WITH_CHANNELS:
            return True
        if layer.kind in {"dense", "recurrent", "embedding"}:
            return False
    return False


def _signal(layers: Sequence[Layer], position: int, measured: Any) -> LayerSignal:
    n_units, n_rows, dead, saturated = measured
    layer = layers[position]
    return LayerSignal(
        layer=layer.name,
        activation=layer.activation,
        n_units=n_units,
        n_rows=n_rows,
        dead=dead,
        saturated=saturated,
        is_gate=graph.is_gate(layers, position),
        is_normalised=graph.is_normalised(layers, position),
    )
