"""The plugin's door: options, markers and fixtures; everything else is imported when used.

A session without experiments pays for reading the options and for one look at the items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_kepler.harness.stash import CAPTURED, SESSION

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_kepler.gate import Sanity
    from pytest_kepler.journal import JournalView
    from pytest_kepler.tracking.experiment import Experiment

_EXPERIMENT_HELP = (
    'experiment(metric=None, goal="max", at_least=None, at_most=None, '
    'replicates=("seed", "fold"), hypothesis=None, project=None, needs=(), uses={}, gate=True, '
    "waive={}, tags=(), version=None, tolerance={}): a training test, whose parametrize is the "
    "grid. It trains once for the same code, data and parameters, and only after the sanity tests "
    "that guard it passed. "
    "metric is the headline metric; at_least or at_most is what the best configuration must "
    "reach, as the mean over its replicates. The docstring is the hypothesis."
)
_CLAIM_HELP = (
    "claim(sentence, metric=None, better={...}, than={...}, margin=0): a hypothesis about an "
    "experiment that is decided from its runs, paired over replicates: supported, refuted or "
    'inconclusive. An example: claim("an RBF kernel beats a linear one", '
    'better={"kernel": "rbf"}, than={"kernel": "linear"}).'
)
_SANITY_HELP = (
    "sanity(of=None): a test that guards every experiment which uses all the project's fixtures "
    "that it requests, with equal parameters; of= names those fixtures where it uses more."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options and their ini settings."""
    from pytest_kepler.harness.settings import add_options

    add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hooks that a project may implement."""
    from pytest_kepler import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer a question to the journal and exit, with nothing collected or run."""
    options = config.option
    asked = options.kepler_report or options.kepler_query is not None
    if not asked and options.kepler_where is None and options.kepler_search is None:
        return None
    from pytest_kepler.harness.answers import answer

    return answer(config)


def pytest_configure(config: pytest.Config) -> None:
    """Announce the markers; under xdist the controller listens to its workers."""
    config.addinivalue_line("markers", _EXPERIMENT_HELP)
    config.addinivalue_line("markers", _CLAIM_HELP)
    config.addinivalue_line("markers", _SANITY_HELP)
    is_controller = not hasattr(config, "workerinput") and bool(
        config.getoption("tx", default=None) or config.getoption("numprocesses", default=None)
    )
    if is_controller and not config.option.collectonly:
        from pytest_kepler.harness.controller import Controller

        config.pluginmanager.register(Controller(config), "kepler-controller")


class _Collection:
    """Looks at the finished collection; outermost, so that it sees what everybody else left."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, object, object]:
        result = yield
        if any(
            mark.name in {"experiment", "claim"} for one in items for mark in one.iter_markers()
        ):
            from pytest_kepler.harness.session import begin

            begin(session, config, items)
        return result


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Be the last to register, which makes the wrapper the outermost."""
    session.config.stash[CAPTURED] = {}
    session.config.pluginmanager.register(_Collection(), "kepler-collection")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Keep what each collector gives before node ids and ``--lf`` thin it: gates are in it."""
    report = yield
    captured = collector.config.stash.get(CAPTURED, None)
    if captured is not None and report.passed:
        captured[collector] = list(report.result)
    return report


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> Experiment:
    """Give the run of this test: fit, evaluate, cross_validate, log, describe, save, note, seed.

    Only in a test marked ``@pytest.mark.experiment``.
    """
    session = request.config.stash.get(SESSION, None)
    if request.config.getoption("setuponly"):  # the fixtures are set up, and nothing is run
        return None  # type: ignore[return-value]
    if session is None or request.node.get_closest_marker("experiment") is None:
        pytest.fail(
            "the fixture 'experiment' belongs to a test marked @pytest.mark.experiment, "
            f"and {request.node.nodeid} is not marked",
            pytrace=False,
        )
    return session.experiment_of(request.node)


@pytest.fixture
def sanity(request: pytest.FixtureRequest) -> Sanity:
    """Give the catalogue of checks: sanity.data, .split, .model, .training and .behaviour.

    Each raises one assertion that lists every finding, or returns them with raises=False.
    """
    from pytest_kepler.harness.sanity import make_sanity

    return make_sanity(request)


@pytest.fixture(scope="session")
def journal(pytestconfig: pytest.Config) -> JournalView:
    """Give the journal, read-only: journal.runs(where), .best(experiment), .query(sql)."""
    from pytest_kepler.harness.settings import journal_path
    from pytest_kepler.journal import open_journal

    return open_journal(journal_path(pytestconfig))
