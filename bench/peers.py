"""Log beside other trackers: what a run, a step, an import and a question cost, what a kill leaves.

    python bench/peers.py                       all of them, printed
    python bench/peers.py --write               and to bench/PEERS.md
    python bench/peers.py --only optuna dvclive some of them
    python bench/peers.py --venv DIR            keep the peers' environment there for the next time

The peers get a virtual environment of their own, made with `pip` from the package index; one that
cannot be installed is left out, and said. Each number is taken in a process of its own:

- a run: 50 runs, one after the other, each with 5 parameters and 3 final metrics, the median in
  milliseconds;
- the end: what is paid once, after those 50 runs, before they can be asked for, in milliseconds;
- a step: one metric, 2,000 steps (with MLflow's and Optuna's databases 500), the median over
  portions of 100, in microseconds;
- import: the best of three imports, less an interpreter that imports nothing; ours and
  pytest-experiments less one that imports pytest, in which they live;
- a question: of 100 runs those with lr > 0.01 and accuracy > 0.9, the best first, the median of 5,
  in a process that has asked before;
- a kill: SIGKILL when 1,000 steps have been logged; how many are found again by another process;
- four at once: four processes with 25 runs each, started together; how many of 100 are found.
"""

# ruff: noqa: D102 - the base class says what each of them does

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "PEERS.md"
PACKAGES = ("mlflow", "wandb", "optuna", "sacred", "dvclive", "trackio")
#: It wants an old SQLAlchemy, and has an environment apart.
APART = "pytest-experiments"
#: What stands before the rows as they were measured, at the end of the page.
KEPT = "<!-- rows: "
RUNS, STEPS, ASKED, KILLED, CROWD, PROCESSES = 50, 2000, 100, 1000, 25, 4
#: Steps that are timed at once: the median over them does not see who else was at work.
PORTION = 100
TIMEOUT = 900


def setting(n: int) -> dict[str, Any]:
    """Return the parameters of run n."""
    return {"lr": 0.001 * (n % 40 + 1), "depth": n % 5, "batch": 32, "seed": n, "act": "relu"}


def results(n: int) -> dict[str, float]:
    """Return the final metrics of run n."""
    return {"accuracy": 0.5 + (n * 37 % 500) / 1000, "loss": 1.0 / (n + 1), "seconds": 1.5}


# --- The trackers -------------------------------------------------------------------------


class Tracker:
    """One way to log; a driver has a folder of its own."""

    package = ""
    module = ""
    #: What is imported anyway.
    without = "sys"
    n_steps = STEPS

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        """Begin run n with its parameters; yield what `log` and `final` take; end it."""
        raise NotImplementedError

    def log(self, run: Any, step: int, value: float) -> None:
        """Log one step of one metric."""
        raise NotImplementedError

    def final(self, run: Any, values: dict[str, float]) -> None:
        """Log the final metrics."""
        raise NotImplementedError

    def finish(self) -> None:
        """Do what makes the runs readable, if that is not done yet."""

    def count_runs(self) -> int:
        """Return how many runs a reader finds."""
        raise NotImplementedError

    def count_steps(self) -> int:
        """Return how many steps of one run a reader finds."""
        raise NotImplementedError

    def ask(self) -> int:
        """Return how many runs have lr > 0.01 and accuracy > 0.9, having sorted them."""
        raise NotImplementedError


class Kepler(Tracker):
    """Ours: the object behind the fixture, the spool, and the journal at the end."""

    package = "pytest-kepler"
    module = "pytest_kepler.plugin, pytest_kepler.tracking.experiment, pytest_kepler.journal"
    without = "pytest"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from pytest_kepler.journal import Journal
        from pytest_kepler.spool import Spool, new_id

        self.journal = Journal(folder / ".kepler" / "journal.duckdb")
        self.session = new_id()
        self.spool = Spool(self.journal.folder, f"{self.session}-main")
        self.began = False

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        from pytest_kepler.records import ExperimentSpec
        from pytest_kepler.spool import new_id
        from pytest_kepler.tracking.context import RunContext
        from pytest_kepler.tracking.experiment import Experiment

        if not self.began:
            self.spool.write({"e": "session", "session": self.session, "at": time.time()})
            self.began = True
        run_id = new_id()
        event = {"e": "run", "run": run_id, "session": self.session, "experiment": "t::t"}
        event |= {"node": f"t::t[{n}]", "at": time.time(), "params": setting(n), "spec": {}}
        self.spool.write(event)
        yield Experiment(
            RunContext(
                spool=self.spool,
                run_id=run_id,
                session_id=self.session,
                params=setting(n),
                spec=ExperimentSpec(),
                seed=0,
                folder=self.journal.folder,
                gate=lambda *_given: None,
                fingerprint=str,
            )
        )
        end = {"e": "end", "run": run_id, "at": time.time(), "status": "passed", "seconds": 0.1}
        self.spool.write(end)

    def log(self, run: Any, step: int, value: float) -> None:
        run.log(loss=value, step=step)

    def final(self, run: Any, values: dict[str, float]) -> None:
        run.log(values)

    def finish(self) -> None:
        self.spool.close()
        self.journal.ingest()

    def count_runs(self) -> int:
        self.journal.ingest()
        return int(self.journal.query("select count(*) from runs").rows[0][0])

    def count_steps(self) -> int:
        self.journal.ingest()
        return int(self.journal.query("select count(*) from metrics").rows[0][0])

    def ask(self) -> int:
        return len(self.journal.where("lr > 0.01 and accuracy > 0.9 order by accuracy desc"))


class BareFile(Tracker):
    """The least that can be done: a line of JSON to a file that stays open."""

    module = "json"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.file = (folder / f"{os.getpid()}.jsonl").open("ab", buffering=0)

    def write(self, event: dict[str, Any]) -> None:
        self.file.write(json.dumps(event).encode() + b"\n")

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        self.write({"run": n, "params": setting(n)})
        yield n

    def log(self, run: Any, step: int, value: float) -> None:
        self.write({"of": run, "step": step, "loss": value, "at": time.time()})

    def final(self, run: Any, values: dict[str, float]) -> None:
        self.write({"of": run, "final": values})

    def lines(self) -> Iterator[dict[str, Any]]:
        for file in self.folder.glob("*.jsonl"):
            yield from map(json.loads, file.read_text().splitlines())

    def count_runs(self) -> int:
        return sum("params" in line for line in self.lines())

    def count_steps(self) -> int:
        return sum("step" in line for line in self.lines())

    def ask(self) -> int:
        params, finals = {}, {}
        for line in self.lines():
            if "params" in line:
                params[line["run"]] = line["params"]
            elif "final" in line:
                finals[line["of"]] = line["final"]
        found = [n for n in params if params[n]["lr"] > 0.01 and finals[n]["accuracy"] > 0.9]
        return len(sorted(found, key=lambda n: -finals[n]["accuracy"]))


class MLflowFiles(Tracker):
    """MLflow's client on a folder."""

    package = "mlflow"
    module = "mlflow"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=self.uri())
        self.experiment = self.made()

    def uri(self) -> str:
        return f"file://{self.folder}/runs"

    def made(self) -> str:
        for _ in range(50):
            found = self.client.get_experiment_by_name("e")
            if found is not None:
                return str(found.experiment_id)
            with suppress(Exception):
                return str(self.client.create_experiment("e"))
            time.sleep(0.1)
        raise SystemExit("no experiment")

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        run = self.client.create_run(self.experiment).info.run_id
        for name, value in setting(n).items():
            self.client.log_param(run, name, value)
        yield run
        self.client.set_terminated(run)

    def log(self, run: Any, step: int, value: float) -> None:
        self.client.log_metric(run, "step_loss", value, step=step)

    def final(self, run: Any, values: dict[str, float]) -> None:
        for name, value in values.items():
            self.client.log_metric(run, name, value)

    def all_runs(self) -> list[Any]:
        return list(self.client.search_runs([self.experiment], max_results=10_000))

    def count_runs(self) -> int:
        return len(self.all_runs())

    def count_steps(self) -> int:
        (run,) = self.all_runs()
        return len(self.client.get_metric_history(run.info.run_id, "step_loss"))

    def ask(self) -> int:
        # Parameters are text to MLflow: it refuses params.lr > 0.01.
        found = self.client.search_runs(
            [self.experiment],
            "metrics.accuracy > 0.9",
            max_results=10_000,
            order_by=["metrics.accuracy DESC"],
        )
        return sum(float(run.data.params["lr"]) > 0.01 for run in found)


class MLflowDatabase(MLflowFiles):
    """MLflow's client on SQLite."""

    n_steps = 500

    def uri(self) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.folder}/mlflow.db"


class WandbOffline(Tracker):
    """Weights & Biases, offline: the files are for its server, and nothing here reads them."""

    package = "wandb"
    module = "wandb"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder)}
        os.environ |= {"WANDB_DATA_DIR": str(folder), "WANDB_CACHE_DIR": str(folder / "cache")}

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        import wandb

        run = wandb.init(project="p", config=setting(n), reinit="finish_previous")
        yield run
        run.finish()

    def log(self, run: Any, step: int, value: float) -> None:
        run.log({"loss": value}, step=step)

    def final(self, run: Any, values: dict[str, float]) -> None:
        run.log(values)

    def records(self, file: Path) -> Iterator[Any]:
        """Yield what a file holds: LevelDB's log format, after a header of 7 bytes."""
        from wandb.proto import wandb_internal_pb2

        content = file.read_bytes()
        at, whole = 7, b""
        while at + 7 <= len(content):
            if 32_768 - at % 32_768 < 7:  # no room for a head: the block's end is padding
                at += 32_768 - at % 32_768
                continue
            length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
            part = content[at + 7 : at + 7 + length]
            if kind == 0 or len(part) < length:
                return
            at += 7 + length
            whole = part if kind in (1, 2) else whole + part
            if kind in (1, 4):
                record = wandb_internal_pb2.Record()
                record.ParseFromString(whole)
                yield record

    def kinds(self, file: Path) -> list[str]:
        return [one.WhichOneof("record_type") for one in self.records(file)]

    def count_runs(self) -> int:
        return sum("exit" in self.kinds(file) for file in self.folder.rglob("*.wandb"))

    def count_steps(self) -> int:
        return sum(self.kinds(file).count("history") for file in self.folder.rglob("*.wandb"))


class OptunaFile(Tracker):
    """Optuna's journal file: a trial is a run, what it reports is a step."""

    package = "optuna"
    module = "optuna"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna = optuna
        for _ in range(50):
            with suppress(Exception):
                self.study = optuna.create_study(
                    study_name="s",
                    storage=self.storage(),
                    direction="maximize",
                    load_if_exists=True,
                )
                return
            time.sleep(0.1)

    def storage(self) -> Any:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        return JournalStorage(JournalFileBackend(str(self.folder / "journal.log")))

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        trial = self.study.ask()
        for name, value in setting(n).items():
            trial.set_user_attr(name, value)
        yield trial
        self.study.tell(trial, results(n)["accuracy"])

    def log(self, run: Any, step: int, value: float) -> None:
        run.report(value, step)

    def final(self, run: Any, values: dict[str, float]) -> None:
        for name, value in values.items():
            run.set_user_attr(name, value)

    def count_runs(self) -> int:
        states = self.optuna.trial.TrialState
        return len(self.study.get_trials(states=(states.COMPLETE,)))

    def count_steps(self) -> int:
        return len(self.study.get_trials()[0].intermediate_values)

    def ask(self) -> int:
        trials = [one.user_attrs for one in self.study.get_trials()]
        found = [one for one in trials if one["lr"] > 0.01 and one["accuracy"] > 0.9]
        return len(sorted(found, key=lambda one: -one["accuracy"]))


class OptunaDatabase(OptunaFile):
    """Optuna on SQLite."""

    n_steps = 500

    def storage(self) -> Any:
        return f"sqlite:///{self.folder}/optuna.db"


class Sacred(Tracker):
    """sacred with its file observer."""

    package = "sacred"
    module = "sacred"

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        from sacred import SETTINGS, Experiment
        from sacred.observers import FileStorageObserver

        SETTINGS.CAPTURE_MODE = "no"
        experiment = Experiment("e", save_git_info=False)
        experiment.observers.append(FileStorageObserver(str(self.folder)))
        experiment.add_config(setting(n))
        experiment.logger = _silent()
        experiment.main(lambda: None)
        run = experiment._create_run()  # noqa: SLF001 - the only way to log outside a function
        run._output_file = SimpleNamespace(closed=True)  # noqa: SLF001 - nothing is captured
        run._emit_started()  # noqa: SLF001
        run._start_heartbeat()  # noqa: SLF001
        yield run
        run._stop_heartbeat()  # noqa: SLF001
        run._emit_completed(None)  # noqa: SLF001

    def log(self, run: Any, step: int, value: float) -> None:
        run.log_scalar("loss", value, step)

    def final(self, run: Any, values: dict[str, float]) -> None:
        for name, value in values.items():
            run.log_scalar(name, value)

    def found(self) -> Iterator[Path]:
        return (path for path in self.folder.iterdir() if path.name.isdigit())

    def count_runs(self) -> int:
        finals = [path / "metrics.json" for path in self.found()]
        return sum(file.exists() and "accuracy" in file.read_text() for file in finals)

    def count_steps(self) -> int:
        (path,) = self.found()
        with suppress(OSError, ValueError, KeyError):
            return len(json.loads((path / "metrics.json").read_text())["loss"]["steps"])
        return 0

    def ask(self) -> int:
        found = []
        for path in self.found():
            lr = json.loads((path / "config.json").read_text())["lr"]
            accuracy = json.loads((path / "metrics.json").read_text())["accuracy"]["values"][-1]
            if lr > 0.01 and accuracy > 0.9:
                found.append(accuracy)
        return len(sorted(found, reverse=True))


class DVCLive(Tracker):
    """DVCLive, a folder a run, outside a repository."""

    package = "dvclive"
    module = "dvclive"

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        from dvclive import Live

        folder = self.folder / f"{os.getpid()}-{n}"
        with Live(str(folder), save_dvc_exp=False, dvcyaml=None, monitor_system=False) as live:
            live.log_params(setting(n))
            yield live

    def log(self, run: Any, step: int, value: float) -> None:
        del step
        run.log_metric("loss", value)
        run.next_step()

    def final(self, run: Any, values: dict[str, float]) -> None:
        for name, value in values.items():
            run.log_metric(name, value, plot=False)

    def found(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if (path / "params.yaml").exists()]

    def count_runs(self) -> int:
        return sum((path / "metrics.json").exists() for path in self.found())

    def count_steps(self) -> int:
        (path,) = self.found()
        lines = (path / "plots" / "metrics" / "loss.tsv").read_text().splitlines()
        return max(0, len(lines) - 1)

    def ask(self) -> int:
        from ruamel.yaml import YAML

        found = []
        for path in self.found():
            lr = YAML(typ="safe").load(path / "params.yaml")["lr"]
            accuracy = json.loads((path / "metrics.json").read_text())["accuracy"]
            if lr > 0.01 and accuracy > 0.9:
                found.append(accuracy)
        return len(sorted(found, reverse=True))


class Trackio(Tracker):
    """trackio, local."""

    package = "trackio"
    module = "trackio"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {"TRACKIO_DIR": str(folder), "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder)}
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False"}

    @contextmanager
    def run(self, n: int) -> Iterator[Any]:
        import trackio

        name = f"{os.getpid()}-{n}"
        run = trackio.init(project="p", name=name, config=setting(n), embed=False)
        yield run
        trackio.finish()

    def log(self, run: Any, step: int, value: float) -> None:
        run.log({"loss": value}, step=step)

    def final(self, run: Any, values: dict[str, float]) -> None:
        run.log(values)

    def rows(self, sql: str) -> list[Any]:
        import sqlite3

        (file,) = self.folder.glob("*.db")
        with sqlite3.connect(file) as db:
            return db.execute(sql).fetchall()

    def count_runs(self) -> int:
        return int(self.rows("select count(distinct run_name) from metrics")[0][0])

    def count_steps(self) -> int:
        with suppress(Exception):  # no table
            return int(self.rows("select count(*) from metrics")[0][0])
        return 0

    def ask(self) -> int:
        found = self.rows(
            "select json_extract(m.metrics, '$.accuracy') as accuracy from metrics as m "
            "join configs as c on c.run_name = m.run_name "
            "where json_extract(c.config, '$.lr') > 0.01 and accuracy > 0.9 order by accuracy desc"
        )
        return len(found)


def _silent() -> Any:
    import logging

    logger = logging.getLogger("silent")
    logger.setLevel(logging.CRITICAL)
    return logger


TRACKERS: dict[str, type[Tracker]] = {
    "a bare file": BareFile,
    "pytest-kepler": Kepler,
    "MLflow, files": MLflowFiles,
    "MLflow, SQLite": MLflowDatabase,
    "W&B, offline": WandbOffline,
    "Optuna, file": OptunaFile,
    "Optuna, SQLite": OptunaDatabase,
    "sacred": Sacred,
    "DVCLive": DVCLive,
    "trackio": Trackio,
}


# --- One measurement, in a process of its own ---------------------------------------------


def do_runs(tracker: Tracker, n: int) -> tuple[float, float]:
    """Return the milliseconds that a run takes, and those at the end of them all."""
    times = []
    for i in range(n):
        began = time.perf_counter()
        with tracker.run(i) as run:
            tracker.final(run, results(i))
        times.append(time.perf_counter() - began)
    done = time.perf_counter()
    tracker.finish()
    return statistics.median(times) * 1e3, (time.perf_counter() - done) * 1e3


def do_steps(tracker: Tracker) -> float:
    """Return the microseconds that a step takes."""
    with tracker.run(0) as run:
        times = []
        for start in range(0, tracker.n_steps, PORTION):
            began = time.perf_counter()
            for step in range(start, start + PORTION):
                tracker.log(run, step, 1.0 / (step + 1))
            times.append((time.perf_counter() - began) / PORTION)
        return statistics.median(times) * 1e6


def do_ask(tracker: Tracker) -> float:
    """Return the milliseconds of a question that was asked before.

    Raises
    ------
    SystemExit
        If the answer is wrong.
    """
    answered = tracker.ask()
    should = sum(setting(n)["lr"] > 0.01 and results(n)["accuracy"] > 0.9 for n in range(ASKED))
    if answered != should:
        raise SystemExit(f"{answered} runs answered, not {should}")
    times = []
    for _ in range(5):
        began = time.perf_counter()
        tracker.ask()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def do_kill(tracker: Tracker) -> None:
    """Log, and die."""
    with tracker.run(0) as run:
        for step in range(KILLED):
            tracker.log(run, step, 1.0 / (step + 1))
        os.kill(os.getpid(), signal.SIGKILL)


def child(name: str, task: str, folder: Path) -> None:
    """Do one thing, and print what came of it as JSON on the last line."""
    tracker = TRACKERS[name](folder)
    found: Any = None
    if task == "runs":
        found = do_runs(tracker, RUNS)
    elif task == "fill":
        do_runs(tracker, ASKED)
    elif task == "steps":
        found = do_steps(tracker)
    elif task == "ask":
        found = do_ask(tracker)
    elif task == "kill":
        do_kill(tracker)
    elif task == "crowd":
        do_runs(tracker, CROWD)
    elif task == "count_runs":
        found = tracker.count_runs()
    elif task == "count_steps":
        found = tracker.count_steps()
    sys.stdout.flush()
    print(f"\n{json.dumps(found)}", flush=True)


# --- All of them --------------------------------------------------------------------------


class Bench:
    """Measures with the interpreter of the peers' environment."""

    def __init__(self, python: Path, home: Path) -> None:
        self.python = python
        self.home = home

    def start(self, name: str, task: str, folder: Path) -> subprocess.Popen[str]:
        """Start one measurement."""
        command = [str(self.python), __file__, "--child", name, task, str(folder)]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(self.home)}
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env=environment,
        )

    def ask(self, name: str, task: str, folder: Path) -> Any:
        """Return what a measurement printed; None and a line if it failed."""
        process = self.start(name, task, folder)
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            out, err = "", f"not done after {TIMEOUT} s"
        if process.returncode != 0:
            last = err.strip().splitlines()[-1:] or [f"status {process.returncode}"]
            print(f"{name}, {task}: {last[0][:200]}", file=sys.stderr)
            return None
        return json.loads(out.strip().splitlines()[-1])

    def import_ms(self, module: str, without: str) -> float:
        """Return the milliseconds that an import takes, the best of three."""

        def best(code: str) -> float:
            times = []
            for _ in range(3):
                began = time.perf_counter()
                subprocess.run([str(self.python), "-c", code], check=True, capture_output=True)
                times.append(time.perf_counter() - began)
            return min(times)

        with_it, without_it = f"import {without}, {module}", f"import {without}"
        return max(0.0, best(with_it) - best(without_it)) * 1e3

    def row(self, name: str) -> dict[str, Any]:
        """Return what one tracker costs and loses."""
        tracker = TRACKERS[name]

        def place(task: str) -> Path:
            return self.home / f"{name.replace(' ', '_').replace(',', '')}-{task}"

        run, end = self.ask(name, "runs", place("runs")) or (None, None)
        row = {
            "run": run,
            "end": end,
            "step": self.ask(name, "steps", place("steps")),
            "import": self.import_ms(tracker.module, tracker.without),
        }
        if tracker.ask is not Tracker.ask:
            self.ask(name, "fill", place("asked"))
            row["ask"] = self.ask(name, "ask", place("asked"))
        self.start(name, "kill", place("kill")).communicate(timeout=TIMEOUT)
        time.sleep(1.0)  # whoever writes in the background may
        row["kill"] = self.ask(name, "count_steps", place("kill"))
        crowd = [self.start(name, "crowd", place("crowd")) for _ in range(PROCESSES)]
        for one in crowd:
            one.communicate(timeout=TIMEOUT)
        row["crowd"] = self.ask(name, "count_runs", place("crowd"))
        return row

    def apart(self) -> dict[str, Any]:
        """Return what a test with its fixture costs beside one without."""
        folder = self.home / "pytest-experiments"
        folder.mkdir()
        test = (
            "import pytest\n"
            "@pytest.mark.parametrize('n', range(100))\n"
            "def test_it({fixture}n):\n    {body}\n"
        )
        record = "notebook.record(accuracy=0.5, loss=1.0, seconds=1.5)"
        seconds = {}
        for kind, fixture, body in (("with", "notebook, ", record), ("without", "", "pass")):
            home = folder / kind
            home.mkdir()
            (home / "test_it.py").write_text(test.format(fixture=fixture, body=body))
            command = [str(self.python), "-m", "pytest", "-q", "-p", "no:kepler", "test_it.py"]
            began = time.perf_counter()
            done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
            seconds[kind] = time.perf_counter() - began
            if done.returncode:
                print(f"pytest-experiments: {done.stdout.strip()[-300:]}", file=sys.stderr)
                return {}
        cost = (seconds["with"] - seconds["without"]) / 100 * 1e3
        return {"run": cost, "import": self.import_ms("pytest_experiments", "pytest")}


def prepare(folder: Path, packages: list[str]) -> Path:
    """Make the peers' environment, or take the one that is there; return its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    there = installed(python)
    for package in [str(ROOT), *packages]:
        if package in there or (package == str(ROOT) and "pytest-kepler" in there):
            continue
        editable = ["-e"] if package == str(ROOT) else []
        command = [str(python), "-m", "pip", "install", "-q", *editable, package]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            reason = [line for line in done.stderr.splitlines() if line.startswith("ERROR")][-1:]
            print(f"{package} cannot be installed: {' '.join(reason)}", file=sys.stderr)
    return python


def installed(python: Path) -> dict[str, str]:
    """Return the versions of the peers in an environment."""
    command = [str(python), __file__, "--versions"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def versions() -> dict[str, str]:
    """Return the versions of the peers in this environment."""
    found = {}
    for package in ("pytest-kepler", "duckdb", *PACKAGES, APART):
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    heads = ("tracker", "a run, ms", "the end, ms", "a step, µs", "import, ms", "a question, ms")
    heads += ("of 1,000 steps after a kill", "of 100 runs by four at once")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in rows.items():
        cells = [
            shown(row.get(key)) for key in ("run", "end", "step", "import", "ask", "kill", "crowd")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shown(value: float | None) -> str:
    """Return a number as it stands in the table."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3f}" if value < 1 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--venv", type=Path, help="where the peers' environment is, or is made")
    parser.add_argument("--only", nargs="+", metavar="PACKAGE", help="only these packages")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--versions", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.versions:
        print(json.dumps(versions()))
        return
    if options.child:
        name, task, folder = options.child
        child(name, task, Path(folder))
        return
    wanted = options.only or [*PACKAGES, APART]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        home = Path(scratch)
        environments = options.venv or home / "venv"
        python = prepare(environments, [one for one in wanted if one != APART])
        there = installed(python)
        bench = Bench(python, home / "work")
        bench.home.mkdir()
        rows = {}
        for name, tracker in TRACKERS.items():
            ours = tracker.package in ("", "pytest-kepler")
            if ours or (tracker.package in wanted and tracker.package in there):
                rows[name] = bench.row(name)
                print(f"{name}: {rows[name]}", file=sys.stderr)
        if APART in wanted:
            python = prepare(environments / "apart", [APART])
            there |= installed(python)
            if APART in there:
                rows[APART] = Bench(python, bench.home).apart()
    rows = {
        name: (earlier() | rows)[name] for name in (*TRACKERS, APART) if name in earlier() | rows
    }
    text = report(rows, there)
    print(text)
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


def earlier() -> dict[str, dict[str, Any]]:
    """Return the rows that were written before: with --only, the others stay."""
    if not RESULTS.exists():
        return {}
    return json.loads(RESULTS.read_text(encoding="utf-8").partition(KEPT)[2].partition("-->")[0])


def report(rows: dict[str, dict[str, Any]], there: dict[str, str]) -> str:
    """Return the page."""
    peers = ", ".join(f"{name} {number}" for name, number in there.items())
    machine = (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}; {peers}."
    )
    what = (__doc__ or "")[(__doc__ or "").index("- a run:") :].strip()
    return (
        "# Beside other trackers\n\n"
        f"Made by `python bench/peers.py --write` on {date.today().isoformat()}.\n"  # noqa: DTZ011
        f"{machine}\n\n"
        f"{table(rows)}\n\n"
        "The bare file is what nothing can be quicker than. The end is where pytest-kepler takes\n"
        "its spool into DuckDB; the others that write a store do so in each run. W&B's files are\n"
        "for its server, and no question can be put to them. pytest-experiments has no steps, and\n"
        "its run is what a test with its fixture costs beside one without.\n\n"
        f"{what}\n\n"
        f"A dash under four at once: the store that four processes made at once cannot be\n"
        f"opened.\n\n{KEPT}{json.dumps(rows)}-->\n"
    )


if __name__ == "__main__":
    main()
