"""Checks of a train and a test split, one module a check."""
