"""The object behind the `experiment` fixture: trains, measures and records, one run long."""

from __future__ import annotations

import shutil
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_kepler import adapters
from pytest_kepler.adapters.plain import article, class_name, jsonable, short
from pytest_kepler.errors import ExperimentError, MetricError, nearest
from pytest_kepler.spool import new_id
from pytest_kepler.tracking import artifacts, values
from pytest_kepler.tracking.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_kepler.adapters.base import Fitted
    from pytest_kepler.tracking.context import RunContext
    from pytest_kepler.tracking.recorder import History


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
        self._artifacts: dict[str, artifacts.Artifact] = {}
        self._history: History = {}

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
        return False

    @property
    def dir(self) -> Path:
        """A folder of this run's own, made when it is first asked for; it stays."""
        return _made(self._context.folder / "runs" / self._context.run_id)

    @property
    def checkpoint(self) -> Path:
        """A folder of this run's identity: there again when a run that crashed is run again."""
        return _made(self._checkpoint)

    @property
    def _checkpoint(self) -> Path:
        owner = self._context.identity or self._context.run_id
        return self._context.folder / "checkpoints" / owner

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
        ExperimentError
            If `model` cannot be trained.
        """
        adapter = adapters.find(model)
        if phase is not None:
            _require_text(phase, "experiment.fit needs a phase such as 'pretrain'")
        recorder = self._recorder(phase or "")
        self._context.gate(model, X, y, fit_kwargs)
        started_at = time.perf_counter()
        fitted = adapter.fit(model, X, y, fit_kwargs, recorder)
        seconds = time.perf_counter() - started_at
        self._log_fitted(fitted, phase, seconds)
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
        ExperimentError
            If something was measured under this prefix before, or there is nothing to measure.
        """
        adapter = adapters.find(model, "experiment.evaluate")
        start = self._claim_prefix(prefix, "experiment.evaluate")
        evaluated = adapter.evaluate(model, X, y)
        logged = {start + name: value for name, value in evaluated.metrics.items()}
        for name, value in logged.items():
            self._log_one(name, value, None)
        if evaluated.left_out:
            self._left_out |= {start + name: why for name, why in evaluated.left_out.items()}
            self.describe(metrics_left_out=self._left_out)
        self._remember_data(start.rstrip("/"), (X, y))
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

        start = self._claim_prefix(prefix, use)
        held_out = {"cv": 5 if cv is None else cv, "scoring": scoring, **options}
        self._context.gate(estimator, X, y, held_out)
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
        """A new Keras callback that records each epoch, for a ``fit`` that you call yourself."""
        adapters.require_loaded("keras", "experiment.callback")
        from pytest_kepler.adapters.keras import callback

        return callback.make(self._recorder())

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

    def save(self, object: Any, name: str = "model") -> Path:  # noqa: A002  # the public name
        """Keep a model, figure, frame, array, dict, text or file with the run.

        Parameters
        ----------
        object : object
            scikit-learn models are written with skops, Keras models as ``.keras``, figures as
            PNG, frames as Parquet (or CSV), arrays as ``.npy``, dicts and lists as JSON; the
            file that a Path names is copied.
        name : str
            Saved again under the same name, the last counts.

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
        artifact = artifacts.save(self._context.folder, name, object)
        self._artifacts[name] = artifact
        self._write(
            {
                "e": "artifact",
                "run": self.id,
                "name": name,
                "kind": artifact.kind,
                "sha256": artifact.sha256,
                "n_bytes": artifact.n_bytes,
                "path": artifact.path.relative_to(self._context.folder).as_posix(),
                "at": time.time(),
            }
        )
        return artifact.path

    def load(self, name: str = "model") -> Any:
        """Read back what this run saved; figures and files as their Path.

        Raises
        ------
        ExperimentError
            If it saved nothing by that name.
        """
        artifact = self._artifacts.get(name)
        if artifact is None:
            raise ExperimentError(
                f"experiment.load: this run saved nothing by the name {name!r}; "
                f"{nearest(name, self._artifacts)}"
            )
        return artifact.read(artifact.path)

    def close(self, *, passed: bool = False) -> None:
        """End the run: whatever is recorded after this is refused.

        The checkpoint of a run that passed is removed; any other's stays, for the run that
        carries on from it.
        """
        if passed and self._checkpoint.exists():
            shutil.rmtree(self._checkpoint, ignore_errors=True)
        self._write = self._write_metric = _refuse_after_end

    # Inside

    def _recorder(self, phase: str = "") -> Recorder:
        return Recorder(
            self._log_one,
            lambda facts: self.describe(**facts),
            self._adopt,
            phase,
            self._context.progress,
        )

    def _adopt(self, history: History) -> None:
        self._history = history

    def _claim_prefix(self, prefix: str, use: str) -> str:
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
