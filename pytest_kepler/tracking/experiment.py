"""The object behind the `experiment` fixture: trains, measures and records, one run long."""

from __future__ import annotations

import time
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pytest_kepler import adapters
from pytest_kepler.adapters import fits, formats, views
from pytest_kepler.adapters.plain import article, class_name, jsonable, short
from pytest_kepler.errors import ExperimentError, MetricError, nearest
from pytest_kepler.spool import new_id
from pytest_kepler.tracking import artifacts, trial, values
from pytest_kepler.tracking.checkpoints import Checkpoint, joined
from pytest_kepler.tracking.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Fitted
    from pytest_kepler.adapters.fits import PastFit
    from pytest_kepler.records import Artifact
    from pytest_kepler.tracking.checkpoints import Curves
    from pytest_kepler.tracking.context import RunContext
    from pytest_kepler.tracking.recorder import History

#: Kinds of artefacts of which equal content may come as different files.
_BY_CONTENT: Final = frozenset({"model", "weights", "frame"})


class Experiment:
    """One run of an experiment, as its test sees it.

    Parameters
    ----------
    context : RunContext
        The run that it belongs to, and where its events go.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._write = context.spool.write
        self._write_metric = context.spool.metric
        self._metrics: dict[str, float] = {}
        self._eval_hashes: dict[str, str] = {}
        self._measured: dict[str, str] = {}
        # Facts of one name replace each other, so these are written whole each time.
        self._left_out: dict[str, str] = {}
        self._without_hash: dict[str, str] = {}
        self._artifacts: dict[str, Artifact] = {}
        self._history: History = {}
        self._checkpoint: Checkpoint | None = None
        self._fits: list[PastFit] = []
        #: Of a run that goes on from others, their curves as far as it has not logged them itself.
        self._before: Curves = {}

    # What the run is

    @property
    def id(self) -> str:
        """The run's id."""
        return self._context.run_id

    @property
    def params(self) -> Mapping[str, Any]:
        """The values that parametrize gave to this run, read-only."""
        return MappingProxyType(dict(self._context.params))

    @property
    def seed(self) -> int:
        """The parameter ``seed``, else 0; Python, NumPy, Keras and torch are seeded with it."""
        return self._context.seed

    @property
    def smoke(self) -> bool:
        """Whether this is a trial on a few rows and steps: whether it runs at all."""
        return self._context.smoke

    @property
    def dir(self) -> Path:
        """A folder of this run's own, made when it is first asked for; it stays."""
        return _made(self._context.folder / "runs" / self._context.run_id)

    @property
    def checkpoint(self) -> Path:
        """A folder of this run's identity: there again when a run that crashed is run again.

        It stays until a run of the identity has passed. A run that finds something in it goes on
        from there: that is recorded, and the curves of the run before are taken over up to where
        this one goes on.

        Raises
        ------
        ExperimentError
            If it is asked for before the fixtures are set up, or cannot be made.
        """
        if self._checkpoint is None:
            identity = self._context.identity()
            if not identity:
                raise ExperimentError(
                    "experiment.checkpoint belongs to the run's identity, which is known once all "
                    "fixtures are set up: ask for it in the test's body."
                )
            self._checkpoint = Checkpoint(self._context.folder, identity, self.id)
            self._resume(self._checkpoint)
        return self._checkpoint.folder

    def _resume(self, checkpoint: Checkpoint) -> None:
        if checkpoint.is_apart:
            self.describe(checkpoint="apart: another process runs the same")
        if not checkpoint.earlier:
            return
        self.describe(resumed_from=checkpoint.earlier[-1])
        self._before = joined(self._context.earlier_curves(checkpoint.earlier))
        if self._before:
            self._write_metric = self._write_resumed

    def _write_resumed(self, run: str, name: str, value: float, step: int | None) -> None:
        """Put what the earlier runs logged of a metric before what this one logs of it."""
        if step is not None and name in self._before:
            self._replay(name, until=step)
        self._context.spool.metric(run, name, value, step)

    def _replay(self, name: str, until: int | None = None) -> None:
        for step, value in self._before.pop(name):
            if until is None or (step is not None and step < until):
                self._context.spool.metric(self.id, name, value, step)
                self._metrics[name] = value

    @property
    def history(self) -> History:
        """The curves of the latest training, by the library's own names."""
        return self._history

    @property
    def metrics(self) -> Mapping[str, float]:
        """The last value logged of each metric, read-only."""
        return MappingProxyType(self._metrics)

    @property
    def eval_hashes(self) -> Mapping[str, str]:
        """The fingerprint of the data that each prefix was measured on, read-only."""
        return MappingProxyType(self._eval_hashes)

    # Training and measuring

    def fit(
        self, model: Any, X: Any, y: Any = None, phase: str | None = None, **fit_kwargs: Any
    ) -> Any:
        """Check model and data, then train; return the fitted model.

        Parameters
        ----------
        model : object
            A scikit-learn estimator, pipeline or search, a compiled Keras model, or any object
            with ``fit``.
        X, y : object
            Whatever the model's own ``fit`` takes; Keras also takes streams, without `y`.
        phase : str, optional
            Stands before the names of what this training logs: ``pretrain/loss``.
        **fit_kwargs : object
            Go to the model's ``fit``. Keras is quiet (``verbose=0``) unless told otherwise.

        Raises
        ------
        Blocked
            If a check finds an error. Nothing has been trained then.
        TrainingError
            If the curves of a Keras training show an error: a loss that is not finite, which also
            ends the training at once, or one that stayed where guessing is.
        ExperimentError
            If `model` cannot be trained.
        """
        adapter = adapters.find(model)
        if phase is not None:
            _require_text(phase, "experiment.fit needs a phase such as 'pretrain'")
        recorder = self._recorder(phase or "")
        self._context.gate(model, X, y, fit_kwargs)
        if self.smoke:
            X, y, fit_kwargs = trial.few(X, y, fit_kwargs, is_keras=adapter.FRAMEWORK == "keras")
        started_at = time.perf_counter()
        fitted = adapter.fit(model, X, y, fit_kwargs, recorder)
        seconds = time.perf_counter() - started_at
        self._log_fitted(fitted, phase, seconds)
        is_keras = adapter.FRAMEWORK == "keras"
        self._fits.append(fits.remember(fitted.model, X, y, fit_kwargs, learns_on=is_keras))
        if is_keras and not self.smoke:
            self._context.judge_curves(recorder.history, y)
        return fitted.model

    def _log_fitted(self, fitted: Fitted, phase: str | None, seconds: float) -> None:
        prefix = f"{phase}/" if phase else ""
        for name, value in {"fit_seconds": seconds, **fitted.metrics}.items():
            self._log_one(prefix + name, value, None)
        record = fitted.record
        self._write(
            {
                "e": "model",
                "run": self.id,
                "name": phase or "model",
                "framework": record.framework,
                "kind": record.kind,
                "params": dict(record.params),
                "n_weights": record.n_weights,
                "hash": self._fingerprint(fitted.model)[0],
                "config": dict(record.config),
            }
        )

    def check(self, model: Any, X: Any, y: Any = None, **fit_kwargs: Any) -> None:
        """Run the checks of `fit` alone, ahead of a training loop of your own.

        Parameters
        ----------
        model, X, y : object
            As for `fit`; for a torch module the tensors, arrays or loader that the loop reads, and
            the labels in the shape and type in which the loss gets them.
        **fit_kwargs : object
            As for `fit`. A torch module is told its ``loss``, its ``optimizer`` (or a list of
            them), ``batch_size``, ``shuffle=False`` where the loop keeps the order, and
            ``clip_norm`` where it clips gradients.

        Raises
        ------
        Blocked
            If a check finds an error.
        """
        self._context.gate(model, X, y, fit_kwargs)

    def evaluate(self, model: Any, X: Any, y: Any = None, prefix: str = "") -> dict[str, float]:
        """Compute and log the usual metrics of the model's task.

        Parameters
        ----------
        model : object
            A fitted model.
        X, y : object
            Data that it was not trained on.
        prefix : str, optional
            Stands before each name: ``val`` gives ``val/accuracy``.

        Returns
        -------
        dict of str to float
            The metrics by the names under which they were logged. Classifiers: ``accuracy``,
            ``balanced_accuracy``, ``f1``, ``precision``, ``recall`` (of the larger of two labels,
            else macro averages) and with probabilities ``log_loss``, ``roc_auc``. Regressors:
            ``r2``, ``rmse``, ``mae``. Keras adds its loss and compiled metrics.

        Raises
        ------
        EvaluationError
            If `X` and `y` do not belong together row by row: nothing is computed then. Or if
            `prefix` is empty and a search, early stopping or the like has chosen by these rows:
            that is no result on new data. The metrics are logged nevertheless.
        ExperimentError
            If something was measured under this prefix before, or there is nothing to measure.
        """
        adapter = adapters.find(model, "experiment.evaluate")
        start = self._reserve_prefix(prefix, "experiment.evaluate")
        if y is not None and not (views.is_dataset(X) or views.is_loader(X)):
            self._context.judge_rows(X, y)
        if self.smoke:
            X, y, _ = trial.few(X, y, {})
        evaluated = adapter.evaluate(model, X, y)
        logged = {start + name: value for name, value in evaluated.metrics.items()}
        for name, value in logged.items():
            self._log_one(name, value, None)
        if evaluated.left_out:
            self._left_out |= {start + name: why for name, why in evaluated.left_out.items()}
            self.describe(metrics_left_out=self._left_out)
        self._remember_data(start.rstrip("/"), (X, y))
        if not start:
            self._judge_rows(model, X, y)
        return logged

    def cross_validate(  # noqa: PLR0913  # scikit-learn's own arguments
        self,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        cv: Any = None,
        scoring: Any = None,
        prefix: str = "",
        **options: Any,
    ) -> dict[str, Any]:
        """Cross-validate a scikit-learn estimator; log each metric's mean, spread and folds.

        Parameters
        ----------
        estimator : object
            Checked once, then cloned and fitted for each fold.
        cv : int, splitter or iterable, default 5
            A number means folds of rows that are shuffled by the run's seed, stratified for
            classifiers, whole groups where ``groups`` is given. For data in the order of time
            give ``TimeSeriesSplit``.
        scoring : str, callable, list or dict, optional
            As in scikit-learn; by default the metrics of `evaluate`.
        prefix : str, optional
            Stands before each name.
        **options : object
            Go to ``sklearn.model_selection.cross_validate``: ``groups``, ``n_jobs``, ``params``.

        Returns
        -------
        dict of str to float
            For each metric ``name``, the mean, and ``name_std``, the standard deviation over
            the folds (n - 1), as logged; the folds are logged as ``name_fold``, the step is the
            fold. What else was asked for (``return_estimator``) comes by scikit-learn's name.

        Raises
        ------
        Blocked
            If a check finds an error.
        ExperimentError
            If it is no scikit-learn estimator, or the prefix is taken.
        """
        use = "experiment.cross_validate"
        if adapters.find(estimator, use).FRAMEWORK != "sklearn":
            raise ExperimentError(
                f"{use} needs a scikit-learn estimator, got "
                f"{article(class_name(type(estimator)))}: loop over the folds, with a new model "
                "in each, and log each fold's metrics with experiment.log(…, step=fold)."
            )
        from pytest_kepler.adapters.sklearn import validation

        start = self._reserve_prefix(prefix, use)
        held_out = {"cv": 5 if cv is None else cv, "scoring": scoring, **options}
        self._context.gate(estimator, X, y, held_out)
        if self.smoke:
            X, y, options = trial.few(X, y, options)
        folds, others = validation.cross_validate(
            estimator,
            X,
            y,
            cv=cv,
            scoring=scoring,
            seed=self.seed,
            recorder=self._recorder(),
            options=options,
        )
        logged: dict[str, Any] = {}
        for name, by_fold in folds.items():
            for fold, value in enumerate(by_fold):
                self._log_one(f"{start}{name}_fold", value, fold)
            for suffix, value in zip(("", "_std"), validation.mean_and_std(by_fold), strict=True):
                self._log_one(f"{start}{name}{suffix}", value, None)
                logged[f"{start}{name}{suffix}"] = value
        # Folds of the same data are not comparable with one test split that happens to equal it.
        self._remember_data(start.rstrip("/"), ("cross_validate", X, y))
        return logged | others

    @property
    def callback(self) -> Any:
        """A new Keras callback that records each epoch, for a ``fit`` that you call yourself.

        A loss that is not finite ends the training, and fails the run when it is over.
        """
        adapters.require_loaded("keras", "experiment.callback")
        from pytest_kepler.adapters.keras import callback

        recorder = self._recorder()
        return callback.make(recorder, lambda: self._context.judge_curves(recorder.history, None))

    # Recording

    def log(
        self, metrics: Mapping[str, Any] | None = None, /, *, step: int | None = None, **more: Any
    ) -> None:
        """Log numbers; the last value of a name is what counts.

        Parameters
        ----------
        metrics : mapping of str to number, optional
            Nested ones are flattened: ``{"val": {"loss": 0.1}}`` is ``val/loss``.
        step : int, optional
            From 0 on: epoch, batch, fold, whatever the numbers belong to.
        **more : number
            More metrics. Booleans, NumPy scalars and 0-d tensors are numbers too.

        Raises
        ------
        MetricError
            If a value is no number, or a name is given twice; nothing is logged then.
        """
        if step is not None:
            step = values.whole_step(step)
        # The most frequent call of all: plain floats by keyword need no further look.
        plain = metrics is None and all(type(value) is float for value in more.values())
        numbers = more if plain else _numbers(metrics, more)
        for name, value in numbers.items():
            self._log_one(name, value, step)

    def _log_one(self, name: str, value: float, step: int | None) -> None:
        self._write_metric(self._context.run_id, name, value, step)
        self._metrics[name] = value

    def describe(self, **facts: Any) -> None:
        """Record facts about the run; they are searched and shown, and no part of its identity."""
        self._write({"e": "fact", "run": self.id, "facts": jsonable(facts)})

    def note(self, text: str) -> None:
        """Record an inference in words, beside the hypothesis.

        Raises
        ------
        ExperimentError
            If there is no text.
        """
        _require_text(text, "experiment.note needs a text")
        at = time.time()
        self._write({"e": "note", "note": new_id(), "run": self.id, "text": text, "at": at})

    def save(
        self,
        object: Any,  # noqa: A002  # the public name
        name: str = "model",
        format: str | None = None,  # noqa: A002  # likewise
    ) -> Path:
        """Keep a model, figure, frame, array, tensor, dict, text or file with the run.

        Parameters
        ----------
        object : object
            scikit-learn models are written with skops, Keras models as ``.keras``, the state of a
            torch module and tensors as safetensors, figures as PNG, frames as Parquet (or CSV),
            arrays as ``.npy``, dicts and lists as JSON; the file that a Path names is copied.
        name : str
            Saved again under the same name, the last counts.
        format : {None, "pickle"}
            ``pickle`` writes any object; it is read back only where it is trusted.

        Returns
        -------
        Path
            The file, named by its content: equal content is kept once. Read it, do not change it.

        Raises
        ------
        ExperimentError
            If there is no way to write such an object; it says what to do instead.
        """
        _require_text(name, "experiment.save needs a name")
        artifact = artifacts.save(self._context.folder, name, object, format)
        # Two files of one model may differ by the time that is written into them.
        content = self._fingerprint(object)[0] if artifact.kind in _BY_CONTENT else ""
        self._artifacts[name] = replace(artifact, content=content, run_id=self.id)
        self._write(
            {
                "e": "artifact",
                "run": self.id,
                "name": name,
                "kind": artifact.kind,
                "sha256": artifact.sha256,
                "n_bytes": artifact.n_bytes,
                "path": artifact.path,
                "hash": content,
                "at": time.time(),
            }
        )
        return self._context.folder / artifact.path

    def load(self, name: str = "model", *, into: Any = None, trusted: bool = False) -> Any:
        """Read back what ``uses`` names, or what this run saved; figures and files as their Path.

        Parameters
        ----------
        name : str
            A name in the mark's ``uses``, or one that this run saved something by.
        into : torch.nn.Module, optional
            Takes the weights that were saved, and is returned. Without it they come as a dict of
            tensors by name.
        trusted : bool
            Whether code that the file names may run as it is read: a pickle, classes that skops
            does not know, Keras' ``Lambda`` layers. What this run itself saved is trusted, but
            for a pickle.

        Raises
        ------
        ExperimentError
            If there is nothing by that name, or it cannot be read so.
        """
        own = self._artifacts.get(name)
        artifact = own or self._context.uses.get(name)
        if artifact is None:
            raise ExperimentError(
                f"experiment.load: this run saved nothing by the name {name!r}, nor does uses= "
                f"name it; {nearest(name, {*self._artifacts, *self._context.uses})}"
            )
        trusted = trusted or (own is not None and artifact.kind != "pickle")
        return formats.load(self._context.folder, artifact, trusted=trusted, into=into)

    @property
    def saved(self) -> Mapping[str, Artifact]:
        """What this run saved, by name, read-only."""
        return MappingProxyType(self._artifacts)

    def close(self, *, passed: bool = False) -> None:
        """End the run: whatever is recorded after this is refused.

        The checkpoint of a run that passed is removed; any other's stays, for the run that
        carries on from it.
        """
        for name in list(self._before):  # what was over before the run crashed
            self._replay(name)
        if self._checkpoint is not None:
            self._checkpoint.close(passed=passed)
        self._write = self._write_metric = _refuse_after_end

    # Inside

    def _recorder(self, phase: str = "") -> Recorder:
        return Recorder(
            self._log_one,
            lambda facts: self.describe(**facts),
            self._adopt,
            phase,
            self._context.progress,
            self._context.is_hopeless,
        )

    def _adopt(self, history: History) -> None:
        self._history = history

    def _reserve_prefix(self, prefix: str, use: str) -> str:
        """Return what stands before the names, and see to it that nothing is measured twice."""
        if prefix != "":
            _require_text(prefix, f"{use} needs a prefix such as 'val'")
        prefix = prefix.strip("/")
        if prefix in self._measured:
            where = f"under the prefix {prefix!r}" if prefix else "without a prefix"
            raise ExperimentError(
                f"{use}: {self._measured[prefix]} has already measured {where} in this run, and "
                "a second measurement would overwrite the first: give this one a prefix of its "
                "own, such as prefix='train'."
            )
        self._measured[prefix] = use
        return f"{prefix}/" if prefix else ""

    def _judge_rows(self, model: Any, X: Any, y: Any) -> None:
        """Let the rows of the main evaluation be compared with those that `model` rests on."""
        has_target = y is not None or views.is_dataset(X)
        concerned = fits.concerning(self._fits, model)
        if concerned and has_target and not self.smoke:
            self._context.judge_evaluation(fits.EvaluationView(X, concerned))

    def _remember_data(self, prefix: str, data: tuple[Any, ...]) -> None:
        found, why = self._fingerprint(data)
        if not found:
            self._without_hash[prefix] = why
            self.describe(eval_hash_missing=self._without_hash)
            return
        self._eval_hashes[prefix] = found
        self._write({"e": "eval", "run": self.id, "prefix": prefix, "hash": found})

    def _fingerprint(self, value: object) -> tuple[str, str]:
        """Return a content hash, or why there is none: a stream has no content to read."""
        try:
            return self._context.fingerprint(value), ""
        except TypeError as error:
            return "", str(error)


def _numbers(metrics: Any, more: Mapping[str, Any]) -> dict[str, float]:
    if metrics is not None and not hasattr(metrics, "items"):
        raise MetricError(
            "experiment.log needs names with their numbers, experiment.log(accuracy=0.9) or "
            f"experiment.log({{'accuracy': 0.9}}), got {short(metrics)}"
        )
    numbers: dict[str, float] = {}
    for name, value in (*values.flatten(metrics or {}), *values.flatten(more)):
        if name in numbers:
            raise MetricError(f"metric {name!r} is given twice in one experiment.log")
        numbers[name] = values.number(name, value)
    return numbers


def _require_text(text: Any, need: str) -> None:
    if not isinstance(text, str) or not text.strip("/ "):
        raise ExperimentError(f"{need}, got {short(text)}.")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _refuse_after_end(*_event: Any) -> NoReturn:
    raise ExperimentError(
        "The run is over, and nothing more can be recorded in it: `experiment` was used after "
        "its test had ended, by a thread or a fixture that outlived the test."
    )
