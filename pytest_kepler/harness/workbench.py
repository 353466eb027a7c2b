"""What one process of a session works with: identities, the spool, the runs known before."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler import __version__
from pytest_kepler.checks import config as check_config
from pytest_kepler.errors import JournalError, UnreadableValueError
from pytest_kepler.harness.contents import Contents, Unreadable
from pytest_kepler.harness.known import Known
from pytest_kepler.harness.opened import OpenedFiles
from pytest_kepler.harness.pairing import params_of
from pytest_kepler.harness.params import flatten
from pytest_kepler.harness.selection import experiment_name
from pytest_kepler.harness.uses import producers_of
from pytest_kepler.identity import environment, parts
from pytest_kepler.identity.fingerprint import Print
from pytest_kepler.journal import Journal
from pytest_kepler.records import EMPTY, Run
from pytest_kepler.spool import OUTBOX, Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_kepler.harness.contents import Change
    from pytest_kepler.harness.selection import Selection
    from pytest_kepler.harness.settings import Settings
    from pytest_kepler.identity.closure import CodePrint
    from pytest_kepler.journal import PassedGate
    from pytest_kepler.records import Artifact, ExperimentSpec


#: The fact under which the files stand that a run was seen to read.
FILES_READ = "files_read"
#: The fact under which the artefacts stand that it used.
USES = "uses"
#: A gate that is quicker is run: that takes no longer than telling why it need not.
_WORTH_TAKING_OVER_S = 1.0
_PARAMS_HASH: pytest.StashKey[str] = pytest.StashKey()


def seed_of(item: Any) -> int:
    """Return the seed of a run: the parameter ``seed`` where it is a whole number, else 0."""
    seed = params_of(item).get("seed")
    return int(seed) if isinstance(seed, int) and not isinstance(seed, bool) else 0


def _told_use(producer: Any, artifact: str | None) -> str:
    """Return a use as text: the experiment, and the artefact if one is named."""
    name = producer if isinstance(producer, str) else producer.__name__
    return f"{name} ({artifact})" if artifact else str(name)


class Silence:
    """Stands in for the spool where nothing is to be recorded."""

    trouble = ""

    def write(self, event: dict[str, Any]) -> None:
        """Drop an event."""

    def metric(self, run: str, name: str, value: float, step: int | None) -> None:
        """Drop a logged value."""

    def close(self) -> None:
        """Close nothing."""


class Workbench:
    """The state of one process of a session with experiments.

    Parameters
    ----------
    config : pytest.Config
    settings : Settings
    selection : Selection
        What is run.
    session_id : str
        Shared by all the processes of the session.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, selection: Selection, session_id: str
    ) -> None:
        self.config = config
        self.settings = settings
        self.selection = selection
        self.session_id = session_id
        self.worker: str | None = getattr(config, "workerinput", {}).get("workerid")
        self.journal = Journal(settings.journal)
        self.folder = self.journal.folder
        self.spool: Spool | Silence = Spool(
            self.folder,
            f"{session_id}-{self.worker or 'main'}",
            sync_ends=settings.fsync == "end",
        )
        self.trouble = ""
        self.notices: list[str] = list(selection.notices)
        self.contents = Contents(config, self.folder / "cache")
        self._codes: dict[Any, CodePrint] = {}
        self._written_codes: set[str] = set()
        self._written_data: set[str] = set()
        self._known = Known()
        self._passed_gates: dict[str, dict[str, PassedGate]] = {}
        self._checks = ""
        self._written_specs: dict[str, tuple[ExperimentSpec, dict[str, Any]]] = {}
        self._environment: tuple[str, dict[str, Any]] | None = None
        self._n_modules = 0
        self._artifacts: dict[str, list[Artifact]] = {}
        self._files_read: dict[str, dict[str, str]] = {}
        self.opened = OpenedFiles(config.rootpath, self._left_out())
        self._environments: dict[str, dict[str, Any]] = {}
        self._began = False

    def _left_out(self) -> list[Path]:
        """Return the folders in which nothing is the project's data."""
        base = self.config.getoption("basetemp", default=None)
        temporary = [tempfile.gettempdir(), *([base] if base else [])]
        return [self.folder, *(Path(one).absolute() for one in (sys.prefix, *temporary))]

    # Before the first run

    def open(self) -> None:
        """Fingerprint the code of what was selected and read what is known of it."""
        try:
            self._sync()
            if not self.journal.exists():
                return
            self.journal.ingest_runs()
            with self.journal.reading():
                self._read_known()
        except JournalError as error:
            self.trouble = str(error)

    def _sync(self) -> None:
        """Take in what the team published; where the share is in trouble the session goes on."""
        share = self.settings.share
        if share is not None or (self.folder / OUTBOX).is_dir():
            self.journal.share_by(share)
        if share is not None:
            self.notices += self.journal.sync(share).troubles

    def _read_known(self) -> None:
        items = list(self.selection.specs)
        codes = {self.code(item).hash for item in items}
        names = {experiment_name(item) for item in items}
        params = {self._params_hash(item) for item in items}
        known = self.journal.known(codes, names, params)
        self._environments = self.journal.environments({run.environment_hash for run in known})
        self._files_read = self.journal.fact(FILES_READ, {run.run_id for run in known})
        self._known = Known(known)
        self._read_artifacts(known)
        for passed in self.journal.passed_gates(self.selection.gates, _WORTH_TAKING_OVER_S):
            self._passed_gates.setdefault(passed.node_id, {})[passed.identity] = passed
        if not all(self._known.has_params(one) for one in params):
            self._known.add_others(self.journal.newest(codes, names))

    def _read_artifacts(self, known: Iterable[Run]) -> None:
        """Read what the earlier runs saved of experiments that others use."""
        used = {
            experiment_name(producer)
            for uses in self.selection.uses_of.values()
            for producer in producers_of(uses)
        }
        ids = {run.run_id for run in known if run.experiment in used} if used else set()
        for one in self.journal.artifacts(ids) if ids else ():
            self._artifacts.setdefault(one.run_id, []).append(one)

    def _begin(self) -> None:
        if self._began:
            return
        self._began = True
        repository = environment.repository(
            self.config.rootpath, keep_diff=self.settings.diff, redact=self.settings.redact
        )
        self.spool.write(
            {
                "e": "session",
                "session": self.session_id,
                "at": time.time(),
                "project": self.config.rootpath.name,
                "rootdir": str(self.config.rootpath),
                "args": list(self.config.invocation_params.args),
                "host": socket.gethostname(),
                "python": sys.version.split()[0],
                "platform": sys.platform,
                "pytest": pytest.__version__,
                "ci": "CI" in os.environ,
                "worker": self.worker,
                **asdict(repository),
            }
        )

    # Identity

    def code(self, item: Any) -> CodePrint:
        """Return the identity of an experiment's code."""
        key = (item.function, item.cls)
        if key not in self._codes:
            self._codes[key] = self.contents.code.of(item.function, cls=item.cls)
        return self._codes[key]

    def fingerprint(self, value: object) -> str:
        """Return the fingerprint of one value."""
        return self.contents.read(value).hash

    def identity(
        self,
        item: Any,
        spec: ExperimentSpec,
        prints: Mapping[str, Print | Unreadable],
        uses: Mapping[str, Artifact] = EMPTY,
    ) -> parts.Identity:
        """Join code, parameters, fixtures and used artefacts to the identity of a run."""
        code = self.code(item)
        own = code.hash
        if spec.version is not None:  # it stands for the code of this experiment, and no other's
            own = parts.digest([experiment_name(item), spec.version])
        data, settings = {}, {}
        for name, one in prints.items():
            if isinstance(one, Unreadable):
                settings[name] = f"unreadable {time.time_ns()}"
            elif one.is_data:
                data[name] = one.hash
            else:
                settings[name] = one.hash
        by_name = self.contents.of_params(item)
        return parts.combine(
            code_hash=own,
            code_parts={"version": own} if spec.version is not None else code.parts,
            params=by_name,
            params_hash=self._params_hash(item),
            data=data,
            settings=settings,
            uses={alias: one.content or one.sha256 for alias, one in uses.items()},
            environment=environment.chosen(self.environment()[1], self.settings.identity),
        )

    def _params_hash(self, item: Any) -> str:
        known: str | None = item.stash.get(_PARAMS_HASH, None)
        if known is None:
            known = item.stash[_PARAMS_HASH] = parts.digest(self.contents.of_params(item))
        return known

    def environment(self) -> tuple[str, dict[str, Any]]:
        """Return the hash and the facts of the environment, as it is now."""
        if self._environment is None or self._n_modules != len(sys.modules):
            facts = environment.facts()
            self._environment = (parts.digest(facts), facts)
            self._n_modules = len(sys.modules)
        return self._environment

    # What is known

    def earlier(self, identity: str) -> Run | None:
        """Return the newest executed run of an identity, or None."""
        return self._known.of_identity(identity)

    def files_changed(self, run: Run) -> list[str]:
        """Name the files that a run was seen to read and that are no longer what they were."""
        return self._changed(self._files_read.get(run.run_id, {}))

    def _changed(self, files: Mapping[str, str]) -> list[str]:
        return [name for name, hash_ in files.items() if self._file_hash(name) != hash_]

    def _file_hash(self, name: str) -> str:
        path = self.config.rootpath / name
        try:
            if name.endswith("/"):
                return self.opened.entries_hash(path)
            return self.fingerprint(path)
        except (UnreadableValueError, OSError):
            return ""

    def files_of(self, paths: Iterable[Path]) -> dict[str, str]:
        """Return the content hashes of files by their places below the rootdir.

        The name of a folder ends with a slash, and what counts is which entries it has.
        """
        root = self.config.rootpath
        names = [path.relative_to(root).as_posix() + "/" * path.is_dir() for path in paths]
        return {name: self._file_hash(name) for name in names}

    def write_files_read(self, run_id: str, paths: Iterable[Path]) -> None:
        """Spool what a run was seen to read."""
        files = self.files_of(paths)
        if files:
            self._files_read[run_id] = files
            self.write({"e": "fact", "run": run_id, "facts": {FILES_READ: files}})

    # Gates

    def gate_identity(self, gate: Any, prints: Mapping[str, Print | Unreadable]) -> str:
        """Return the identity of a gate's code, parameters and fixtures; empty if one is unread.

        The settings of the checks are part of it. A Hypothesis test has none: it tries other
        examples each time.
        """
        if any(isinstance(one, Unreadable) for one in prints.values()):
            return ""
        if getattr(gate.function, "is_hypothesis_test", False):
            return ""
        fixtures = {name: one.hash for name, one in prints.items() if isinstance(one, Print)}
        return parts.digest(
            {
                "code": self.code(gate).hash,
                "params": self._params_hash(gate),
                "fixtures": fixtures,
                "checks": self._checks_digest(),
            }
        )

    def _checks_digest(self) -> str:
        if not self._checks:
            config = check_config.load(self.config.rootpath)
            self._checks = parts.digest([__version__, repr(config)])
        return self._checks

    def gate_content(self, gate: Any, prints: Mapping[str, Print | Unreadable]) -> dict[str, str]:
        """Return the fingerprints of the shared fixtures of a gate.

        What a function-scoped fixture makes is the gate's own, and what cannot be read cannot be
        compared.
        """
        shared = self.contents.shared_names(gate)
        found = {name: one.hash for name, one in prints.items() if isinstance(one, Print)}
        return {name: found[name] for name in shared if name in found}

    def has_passed_gate(self, node_id: str) -> bool:
        """Tell whether an earlier session left a verdict of a gate that may be taken over."""
        return self.settings.duplicates != "run" and node_id in self._passed_gates

    def is_slow_gate(self, node_id: str) -> bool:
        """Tell whether the body of such a gate is slow, not only the set-up of its fixtures.

        Then it pays to set them up to see whether the verdict stands.
        """
        found = self._passed_gates.get(node_id, {}).values()
        return any(one.call_seconds >= _WORTH_TAKING_OVER_S for one in found)

    def passed_gate(self, gate: Any, prints: Mapping[str, Print | Unreadable]) -> PassedGate | None:
        """Return the verdict of an earlier session on this very content, or None."""
        identity = self.gate_identity(gate, prints)
        found = self._passed_gates.get(gate.nodeid, {}).get(identity)
        if found is None or self._changed(found.files):
            return None
        return found if not environment.differ(found.environment, self.environment()[1]) else None

    def write_environment(self) -> str:
        """Spool the environment as it is now, if it was not, and return its hash."""
        hash_, facts = self.environment()
        self._write_once(self._written_codes, "environment", hash_, facts=facts)
        return hash_

    def environment_changes(self, run: Run) -> list[str]:
        """Name what differs between an earlier run's environment and this one."""
        if run.environment_hash == self.environment()[0]:
            return []
        before = self._environments.get(run.environment_hash)
        return environment.differ(before, self.environment()[1]) if before else []

    def why_new(self, item: Any, identity: parts.Identity) -> str:
        """Say why a run is no duplicate."""
        shown = flatten(params_of(item), self.settings.redact)
        return parts.why_new(identity, shown, self._comparable(item, identity))

    def nearest(self, item: Any, identity: parts.Identity) -> Run | None:
        """Return the earlier run that differs least from an item's, or None."""
        return parts.nearest_run(identity, self._comparable(item, identity))

    def _comparable(self, item: Any, identity: parts.Identity) -> list[Run]:
        return self._known.comparable(experiment_name(item), identity)

    def remember(self, run: Run, saved: Iterable[Artifact] = ()) -> None:
        """Let a run that passed in this process count for the items that come after it."""
        self._known.remember(run)
        self._artifacts[run.run_id] = list(saved)

    def curves_of(self, run_ids: Iterable[str]) -> list[dict[str, list[tuple[int | None, float]]]]:
        """Return the logged values of earlier runs; none where the journal cannot be read."""
        try:
            self.journal.ingest_runs()
            with self.journal.reading():
                return [self.journal.curves(run_id) for run_id in run_ids]
        except JournalError as error:
            self.trouble = str(error)
            return []

    # Artefacts

    def artifacts_of(self, run: Run) -> list[Artifact]:
        """Return what an earlier run saved that others use."""
        return self._artifacts.get(run.run_id, [])

    def has(self, artifact: Artifact) -> bool:
        """Tell whether an artefact's file is there, whole; the share may have it."""
        file = self.folder / artifact.path
        if not file.exists() and self.settings.share is not None:
            self.journal.fetch_artifact(artifact.path)
        try:
            return file.stat().st_size == artifact.n_bytes
        except OSError:
            return False

    def write_uses(self, run_id: str, uses: Mapping[str, Artifact]) -> None:
        """Spool which artefacts of which runs a run began from."""
        if uses:
            told = {
                alias: {"run": one.run_id, "name": one.name, "sha256": one.sha256}
                for alias, one in uses.items()
            }
            self.write({"e": "fact", "run": run_id, "facts": {USES: told}})

    # What is written

    def write_run(
        self,
        item: Any,
        spec: ExperimentSpec,
        run_id: str,
        identity: parts.Identity | None,
        *,
        behind: Sequence[str] = (),
        **more: Any,
    ) -> Run:
        """Spool the start of a run, and before it what it refers to for the first time."""
        self._begin()
        params = params_of(item)
        hash_ = self.write_environment()
        code = self.code(item)
        if code.hash not in self._written_codes:
            sources = {
                part: environment.redacted(text, self.settings.redact)
                for part, text in code.sources.items()
            }
            self._write_once(self._written_codes, "code", code.hash, parts=sources)
        name = experiment_name(item)
        shown = flatten(params, self.settings.redact)
        run = Run(
            run_id=run_id,
            session_id=self.session_id,
            project=spec.project or self.config.rootpath.name,
            experiment=name,
            node_id=item.nodeid,
            status=more.get("status", "running"),
            started_at=datetime.now(UTC),
            seed=seed_of(item),
            params=shown,
            hypothesis=spec.hypothesis or "",
            identity=identity.identity if identity else "",
            code_hash=identity.code_hash if identity else code.hash,
            data_hash=identity.data_hash if identity else "",
            params_hash=identity.params_hash if identity else "",
            environment_hash=hash_,
            why_new=more.get("why_new", ""),
            parts=identity.parts if identity else {},
        )
        self.spool.write(
            {
                "e": "run",
                "run": run.run_id,
                "session": run.session_id,
                "project": run.project,
                "experiment": run.experiment,
                "node": run.node_id,
                "at": run.started_at.timestamp(),
                "seed": run.seed,
                "params": shown,
                "replicates": [one for one in spec.replicates if one in shown],
                "hypothesis": run.hypothesis,
                "identity": run.identity,
                "code": run.code_hash,
                "data": run.data_hash,
                "params_hash": run.params_hash,
                "environment": hash_,
                "parts": run.parts,
                "spec": self._spec(spec, name, behind),
                "worker": self.worker,
                **more,
            }
        )
        return run

    def write_duplicate(
        self, item: Any, spec: ExperimentSpec, run_id: str, earlier: Run, message: str
    ) -> None:
        """Spool a run that repeats another: what it has in common with that is left out."""
        self._begin()
        name = experiment_name(item)
        event = {
            "e": "run",
            "run": run_id,
            "session": self.session_id,
            "experiment": name,
            "node": item.nodeid,
            "at": time.time(),
            "status": "duplicate",
            "duplicate_of": earlier.run_id,
        }
        told = self._told_spec(spec, name)
        if told != earlier.spec:
            event["spec"] = told
            event["replicates"] = [one for one in spec.replicates if one in params_of(item)]
        if self.environment()[0] != earlier.environment_hash:
            event["environment"] = self.write_environment()
        project = spec.project or self.config.rootpath.name
        own = {"project": project, "hypothesis": spec.hypothesis or "", "worker": self.worker}
        event |= {key: value for key, value in own.items() if value != getattr(earlier, key, None)}
        if message:
            event["message"] = message
        self.spool.write(event)

    def _told_spec(self, spec: ExperimentSpec, name: str) -> dict[str, Any]:
        """Return a spec as the journal gives it back, made once for all runs of an experiment."""
        known = self._written_specs.get(name)
        if known is None or known[0] is not spec:
            told = json.loads(json.dumps(self._spec(spec, name, ()), default=repr))
            known = self._written_specs[name] = (spec, told)
        return known[1]

    def _spec(self, spec: ExperimentSpec, name: str, behind: Sequence[str]) -> dict[str, Any]:
        written = {
            "metric": spec.metric,
            "goal": spec.goal if isinstance(spec.goal, str) else dict(spec.goal),
            "at_least": spec.at_least,
            "at_most": spec.at_most,
            "replicates": list(spec.replicates),
            "tags": list(spec.tags),
            "waive": dict(spec.waive),
            "gate": spec.gate,
            "uses": {alias: _told_use(*use) for alias, use in spec.uses.items()},
            "behind": list(behind),
            "grid": self.selection.grid_sizes.get(name),
            "tolerance": dict(spec.tolerance),
            "claims": [asdict(claim) for claim in spec.claims],
        }
        judged = ("at_least", "at_most", "tolerance", "claims") if self.settings.smoke else ()
        return {
            key: value
            for key, value in written.items()
            if value not in (None, [], {}) and key not in judged
        }

    def write_datasets(self, prints: Mapping[str, Print | Unreadable]) -> None:
        """Spool what the data fixtures hold, once a content."""
        for name, one in prints.items():
            if isinstance(one, Unreadable) or not one.is_data:
                continue
            self._write_once(
                self._written_data,
                "dataset",
                one.hash,
                name=name,
                kind=one.kind,
                shape=list(one.shape),
                n_bytes=one.n_bytes,
            )

    def _write_once(self, written: set[str], event: str, hash_: str, **more: Any) -> None:
        if hash_ not in written:
            written.add(hash_)
            self.spool.write({"e": event, "hash": hash_, **more})

    def write(self, event: dict[str, Any]) -> None:
        """Spool one event of this session."""
        self._begin()
        self.spool.write(event)

    def metric(self, run: str, name: str, value: float, step: int | None) -> None:
        """Spool one logged value."""
        self.spool.metric(run, name, value, step)

    def note_changes(self, changes: Iterable[Change]) -> None:
        """Say which shared fixtures were changed in place; the runs since are no ground to skip."""
        for change in changes:
            who = f"{change.changer} changed" if change.changer else "a test changed"
            notice = (
                f"{who} the shared fixture {change.fixture!r} in place: the tests after it saw "
                "other data. Copy before changing, or give the fixture scope='function'"
            )
            if not any(f"fixture {change.fixture!r} in place" in one for one in self.notices):
                self.notices.append(notice)
            reason = f"the fixture {change.fixture!r} was changed in place"
            self.write_unsound(change.unsound, reason)

    def write_unsound(self, runs: Iterable[str], reason: str) -> None:
        """Spool that runs must never be a ground to skip."""
        for run in runs:
            self.write({"e": "unsound", "run": run, "reason": reason, "at": time.time()})

    def troubles(self) -> list[str]:
        """Return what kept the journal from being read or the spool from being written."""
        return [one for one in (self.trouble, self.spool.trouble) if one]

    def close(self) -> None:
        """Release the spool, so that it can be taken into the journal."""
        self.contents.code.save()
        self.spool.close()
        self._known = Known()
