"""What one process of a session works with: identities, the spool, the runs known before."""

from __future__ import annotations

import os
import socket
import sys
import sysconfig
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kepler.declared import ATTRIBUTE
from pytest_kepler.errors import JournalError, UnreadableValueError
from pytest_kepler.harness.pairing import fixture_of, params_of, requested_directly
from pytest_kepler.harness.params import flatten
from pytest_kepler.harness.selection import experiment_name
from pytest_kepler.identity import environment, parts
from pytest_kepler.identity.closure import CodeReader
from pytest_kepler.identity.fingerprint import Print, params_hash, read
from pytest_kepler.journal import Journal
from pytest_kepler.records import Run
from pytest_kepler.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_kepler.declared import Declared
    from pytest_kepler.harness.selection import Selection
    from pytest_kepler.harness.settings import Settings
    from pytest_kepler.identity.closure import CodePrint
    from pytest_kepler.records import ExperimentSpec

_INSTALLED = tuple(
    dict.fromkeys(
        str(Path(sysconfig.get_path(name)).resolve())
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    )
)
#: Fixtures that are no data: pytest's, xdist's and our own.
_NO_DATA = ("_pytest", "xdist", "pytest_kepler")
#: Shared data is hashed again after each run up to these many bytes, and bytes a second it took.
_CHECKED_BYTES = 32_000_000
_CHECKED_BYTES_PER_SECOND = 250_000_000


def is_project(definition: Any) -> bool:
    """Tell whether a fixture is the project's own: its code is not an installed library's."""
    code = getattr(definition.func, "__code__", None)
    if code is None or definition.func.__module__.partition(".")[0] in _NO_DATA:
        return False
    path = str(Path(code.co_filename).resolve())
    return not path.startswith(_INSTALLED) and "-packages" not in path


def seed_of(item: Any) -> int:
    """Return the seed of a run: the parameter ``seed`` where it is a whole number, else 0."""
    seed = params_of(item).get("seed")
    return int(seed) if isinstance(seed, int) and not isinstance(seed, bool) else 0


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A fixture whose content cannot be told, so that the run is never a duplicate."""

    fixture: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Shared:
    """A fixture of a broader scope, as fingerprinted; and the runs since it was verified."""

    print: Print | Unreadable
    value: Any
    users: list[str] = field(default_factory=list)


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
        self.spool = Spool(self.folder, f"{session_id}-{self.worker or 'main'}")
        self.trouble = ""
        self.notices: list[str] = list(selection.notices)
        self._reader = CodeReader(
            config.rootpath, fingerprint=self._constant, cache=self.folder / "cache"
        )
        self._codes: dict[Any, CodePrint] = {}
        self._written_codes: set[str] = set()
        self._written_data: set[str] = set()
        self._shared: dict[Any, _Shared] = {}
        self._known: list[Run] = []
        self._by_identity: dict[str, Run] = {}
        self._environment: tuple[str, dict[str, Any]] | None = None
        self._n_modules = 0
        self._environments: dict[str, dict[str, Any]] = {}
        self._began = False

    # Before the first run

    def open(self) -> None:
        """Fingerprint the code of what was selected and read what is known of it."""
        codes = {self.code(item).hash for item in self.selection.specs}
        names = {experiment_name(item) for item in self.selection.specs}
        try:
            if not self.journal.exists():
                return
            self.journal.ingest()  # what a session left that was killed
            self._known = self.journal.known(codes, names)
            hashes = {run.environment_hash for run in self._known if run.environment_hash}
            self._environments = self.journal.environments(hashes)
        except JournalError as error:
            self.trouble = str(error)
            return
        for run in self._known:  # newest first
            self._by_identity.setdefault(run.identity, run)

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
            self._codes[key] = self._reader.of(item.function, cls=item.cls)
        return self._codes[key]

    def _constant(self, value: object) -> str:
        return read(value, code=self._function_code, root=self.config.rootpath).hash

    def _function_code(self, function: Any) -> str:
        return self._reader.of(function).hash

    def read(self, value: object) -> Print:
        """Fingerprint one value, asking the project's hooks first.

        Raises
        ------
        UnreadableValueError
            If it has no content that can be read.
        """
        return read(
            value, hook=self._ask_hooks, code=self._function_code, root=self.config.rootpath
        )

    def fingerprint(self, value: object) -> str:
        """Return the fingerprint of one value."""
        return self.read(value).hash

    def _ask_hooks(self, value: object) -> str | None:
        answer = self.config.hook.pytest_kepler_fingerprint(value=value)
        return str(answer) if answer is not None else None

    def counted_fixtures(self, item: Any) -> list[tuple[str, Any]]:
        """Return the fixtures whose content counts: what is handed to the test, by name.

        Those that the test requests, by argument or ``usefixtures``, and the project's autouse
        ones; parameters are counted apart.
        """
        fixed = item._fixtureinfo  # noqa: SLF001  # no public way
        names = [*requested_directly(item), *fixed.initialnames]
        found = []
        for name in dict.fromkeys(names):
            definition = fixture_of(item, name)
            if definition is None:
                continue
            module = definition.func.__module__ or ""
            if module.partition(".")[0] in _NO_DATA:
                continue
            found.append((name, definition))
        return found

    def _side_effects(self, item: Any) -> list[tuple[str, Any]]:
        """Return the project's other fixtures in the closure: they count where they give None."""
        counted = {name for name, _ in self.counted_fixtures(item)}
        others = []
        for name in item.fixturenames:
            definition = fixture_of(item, name)
            if name not in counted and definition is not None and is_project(definition):
                others.append((name, definition))
        return others

    def _key(self, item: Any, definition: Any) -> Any:
        """Tell apart the values of one fixture within a session: by all parameters below it."""
        params = params_of(item)
        if not params:
            return (definition, ())
        below = _names_below(item, definition)
        return (
            definition,
            tuple((name, self.fingerprint_param(params[name])) for name in params if name in below),
        )

    def fingerprint_param(self, value: object) -> str:
        """Return the fingerprint of a parameter; what cannot be read counts as new each time."""
        try:
            return self.read(value).hash
        except UnreadableValueError:
            return f"unreadable:{id(value)}"

    def _declared_print(self, item: Any, definition: Any) -> Print | Unreadable | None:
        """Fingerprint a fixture by what it declares; None where it declares nothing.

        Also None while an input of it is not known: then it is told once the fixtures are there.
        """
        declared: Declared | None = getattr(definition.func, ATTRIBUTE, None)
        if declared is None:
            return None
        key = ("declared", self._key(item, definition))
        known = self._shared.get(key)
        if known is not None:
            return known.print
        inputs = {}
        for name in definition.argnames:
            other = fixture_of(item, name)
            if other is None or not is_project(other):
                continue
            one = self._declared_print(item, other)
            if one is None:
                shared = self._shared.get(self._key(item, other))
                one = shared.print if shared is not None else None
            if one is None:
                one = self._print_of(item, name, other, counts=False)
            if one is None or isinstance(one, Unreadable):
                return one
            inputs[name] = one.hash
        result = self._read_declared(definition, declared, inputs, params_of(item))
        self._shared[key] = _Shared(result, None)
        return result

    def _read_declared(
        self,
        definition: Any,
        declared: Declared,
        inputs: Mapping[str, str],
        params: Mapping[str, Any],
    ) -> Print | Unreadable:
        home = Path(definition.func.__code__.co_filename).parent
        contents: dict[str, str] = {}
        n_bytes = 0
        for pattern in declared.files:
            paths = sorted(path for path in home.glob(pattern) if path.is_file())
            if not paths:
                reason = f"it declares files={pattern!r}, and {home} has no such file"
                return Unreadable(definition.argname, reason)
            for path in paths:
                try:
                    one = self.read(path)
                except UnreadableValueError as error:
                    return Unreadable(definition.argname, str(error))
                contents[path.relative_to(home).as_posix()] = one.hash
                n_bytes += one.n_bytes
        name = definition.argname
        content = parts.digest(
            {
                "files": contents,
                "version": declared.version,
                "code": self._reader.of(definition.func).hash,
                "param": self.fingerprint_param(params[name]) if name in params else None,
                "inputs": dict(inputs),
            }
        )
        return Print(content, is_data=True, n_bytes=n_bytes, kind="dataset", shape=())

    def prints_if_known(self, item: Any) -> dict[str, Print | Unreadable] | None:
        """Return the fingerprints of an item's fixtures if no fixture must run for them."""
        found: dict[str, Print | Unreadable] = {}
        for name, definition in [*self.counted_fixtures(item), *self._side_effects(item)]:
            declared = self._declared_print(item, definition)
            if declared is not None:
                found[name] = declared
                continue
            shared = self._shared.get(self._key(item, definition))
            if shared is None:
                return None
            found[name] = shared.print
        return found

    def prints(self, item: Any) -> dict[str, Print | Unreadable]:
        """Return the fingerprints of an item's fixtures, which are set up."""
        found: dict[str, Print | Unreadable] = {}
        others = self._side_effects(item)
        for name, definition in [*self.counted_fixtures(item), *others]:
            counts = (name, definition) not in others
            result = self._declared_print(item, definition)
            if result is None:
                result = self._print_of(item, name, definition, counts=counts)
            if result is not None:
                found[name] = result
        return found

    def _print_of(
        self, item: Any, name: str, definition: Any, *, counts: bool
    ) -> Print | Unreadable | None:
        cached = definition.cached_result
        if cached is None or cached[2] is not None:
            return Unreadable(name, "it was not set up by pytest") if counts else None
        value = cached[0]
        if not counts and value is not None:
            return None  # its content is in what the direct fixtures hand over
        shareable = definition.scope != "function"
        key = self._key(item, definition) if shareable else None
        known = self._shared.get(key) if shareable else None
        if known is not None and known.value is value:
            return known.print
        result = self._read_fixture(name, definition, value)
        if shareable:
            self._shared[key] = _Shared(result, value)
        return result

    def _read_fixture(self, name: str, definition: Any, value: object) -> Print | Unreadable:
        if value is None:
            return read(self._reader.of(definition.func).hash)
        try:
            return self.read(value)
        except UnreadableValueError as error:
            if not is_project(definition):
                return read(type(value).__qualname__)  # another plugin's, and no data
            return Unreadable(name, str(error))

    def verify_shared(self, item: Any, run_id: str, seconds: float) -> None:
        """Look whether the run that just ended changed shared data in place.

        Data that is large beside the run's time is looked at when its fixture goes.
        """
        budget = max(_CHECKED_BYTES, int(seconds * _CHECKED_BYTES_PER_SECOND))
        for name, definition in self.counted_fixtures(item):
            if definition.scope == "function" or definition.cached_result is None:
                continue
            key = self._key(item, definition)
            shared = self._shared.get(key)
            if shared is None or isinstance(shared.print, Unreadable):
                continue
            shared.users.append(run_id)
            budget -= shared.print.n_bytes
            if budget >= 0:
                self._verify(key, name, definition, shared, changer=item.nodeid)

    def verify_last(self, definition: Any) -> None:
        """Look at a shared fixture's value for the last time, as it is torn down."""
        cached = definition.cached_result
        for key, shared in list(self._shared.items()):
            if key[0] is not definition or cached is None or shared.value is not cached[0]:
                continue
            if not isinstance(shared.print, Unreadable):
                self._verify(key, definition.argname, definition, shared, changer="")
            self._shared[key] = _Shared(shared.print, None)

    def _verify(
        self, key: Any, name: str, definition: Any, shared: _Shared, *, changer: str
    ) -> None:
        """Compare a value with its fingerprint; where they differ say so and forget it."""
        again = self._read_fixture(name, definition, shared.value)
        if again == shared.print:
            shared.users.clear()
            return
        del self._shared[key]
        who = f"{changer} changed" if changer else "a test changed"
        self.notices.append(
            f"{who} the shared fixture {name!r} in place: the tests after it saw other data. "
            "Copy before changing, or give the fixture scope='function'"
        )
        # Only the newest user is known to have begun on the original, when it was checked at once.
        unsound = [] if changer and len(shared.users) == 1 else shared.users
        if unsound:
            self.write_unsound(unsound, f"the fixture {name!r} was changed in place")

    def write_unsound(self, runs: list[str], reason: str) -> None:
        """Spool that runs must never be a ground to skip."""
        for run in runs:
            self.write({"e": "unsound", "run": run, "reason": reason, "at": time.time()})

    def identity(
        self, item: Any, spec: ExperimentSpec, prints: Mapping[str, Print | Unreadable]
    ) -> parts.Identity:
        """Join code, parameters and fixtures to the identity of a run."""
        params = params_of(item)
        code = self.code(item)
        own = f"version {spec.version}" if spec.version is not None else code.hash
        data, settings = {}, {}
        for name, one in prints.items():
            if isinstance(one, Unreadable):
                settings[name] = f"unreadable {time.time_ns()}"
            elif one.is_data:
                data[name] = one.hash
            else:
                settings[name] = one.hash
        by_name = {name: self.fingerprint_param(value) for name, value in params.items()}
        return parts.combine(
            code_hash=own,
            code_parts={"version": own} if spec.version is not None else code.parts,
            params=by_name,
            params_hash=params_hash(by_name),
            data=data,
            settings=settings,
            environment=environment.chosen(self.environment()[1], self.settings.identity),
        )

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
        return self._by_identity.get(identity)

    def environment_changes(self, run: Run) -> list[str]:
        """Name what differs between an earlier run's environment and this one."""
        if run.environment_hash == self.environment()[0]:
            return []
        before = self._environments.get(run.environment_hash)
        return environment.differ(before, self.environment()[1]) if before else []

    def why_new(self, item: Any, identity: parts.Identity) -> str:
        """Say why a run is no duplicate."""
        name = experiment_name(item)
        ours = [
            run
            for run in self._known
            if run.experiment == name or run.code_hash == identity.code_hash
        ]
        shown = flatten(params_of(item), self.settings.redact)
        return parts.why_new(identity, shown, ours)

    def remember(self, run: Run) -> None:
        """Let a run that passed in this process count for the items that come after it."""
        self._by_identity[run.identity] = run

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
        hash_, facts = self.environment()
        self._write_once(self._written_codes, "environment", hash_, facts=facts)
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
            "behind": list(behind),
            "grid": self.selection.grid_sizes.get(name),
        }
        return {key: value for key, value in written.items() if value not in (None, [], {})}

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

    def troubles(self) -> list[str]:
        """Return what kept the journal from being read or the spool from being written."""
        return [one for one in (self.trouble, self.spool.trouble) if one]

    def close(self) -> None:
        """Release the spool, so that it can be taken into the journal."""
        self._reader.save()
        self.spool.close()


def _names_below(item: Any, definition: Any) -> set[str]:
    """Return the names of a fixture and of all that it is built from."""
    names: set[str] = set()
    pending = [definition.argname]
    while pending:
        name = pending.pop()
        if name not in names:
            names.add(name)
            found = fixture_of(item, name)
            pending += list(found.argnames) if found is not None else []
    return names
