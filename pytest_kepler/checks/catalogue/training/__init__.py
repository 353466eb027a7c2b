"""Checks of the curves of a training, one module a check."""
