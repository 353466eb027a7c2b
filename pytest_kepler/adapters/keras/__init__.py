"""Keras 3: a view for the checks, training for tracking."""
