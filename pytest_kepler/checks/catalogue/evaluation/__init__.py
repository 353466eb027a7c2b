"""Checks of what a run evaluates, beside what it has fitted."""
