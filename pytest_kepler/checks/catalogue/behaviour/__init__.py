"""Checks of what a trained model answers, one module a check."""
