"""The runs that the journal has of what is selected, by what decisions ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_kepler.identity.parts import Identity
    from pytest_kepler.records import Run


class Known:
    """Executed runs, by identity and by parameters.

    Parameters
    ----------
    runs : iterable of Run
        With the parameters of items of this session, newest first.
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._by_identity: dict[str, Run] = {}
        self._by_params: dict[str, list[Run]] = {}
        self._others: list[Run] = []
        for run in runs:
            self._by_identity.setdefault(run.identity, run)
            self._by_params.setdefault(run.params_hash, []).append(run)

    def add_others(self, runs: Iterable[Run]) -> None:
        """Add runs with other parameters, newest first: what a new one is compared with."""
        self._others = [run for run in runs if run.identity]  # the others did not get that far

    def has_params(self, params_hash: str) -> bool:
        """Tell whether a run had these parameters."""
        return params_hash in self._by_params

    def of_identity(self, identity: str) -> Run | None:
        """Return the newest run of an identity, or None."""
        return self._by_identity.get(identity)

    def remember(self, run: Run) -> None:
        """Let a run that passed in this process count for the items that come after it."""
        self._by_identity[run.identity] = run

    def comparable(self, experiment: str, identity: Identity) -> list[Run]:
        """Return the runs of an experiment, or of its code, that a new run is compared with.

        Those with the same parameters, if there are any, else some of the newest.
        """

        def ours(runs: Iterable[Run]) -> list[Run]:
            return [
                run
                for run in runs
                if run.experiment == experiment or run.code_hash == identity.code_hash
            ]

        return ours(self._by_params.get(identity.params_hash, ())) or ours(self._others)
