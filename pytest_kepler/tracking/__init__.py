"""Tracking: what an experiment trains, measures and logs, as events for the spool."""
