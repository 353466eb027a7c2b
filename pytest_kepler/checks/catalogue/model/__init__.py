"""Checks of a model that is about to be trained, one module a check."""
