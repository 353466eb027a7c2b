"""scikit-learn: a view for the checks, training for tracking."""
