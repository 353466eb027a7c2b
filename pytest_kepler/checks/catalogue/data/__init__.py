"""Checks of features and target, one module a check."""
