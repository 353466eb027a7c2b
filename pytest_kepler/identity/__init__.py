"""What makes two runs the same run: the fingerprints of code, parameters and data."""
