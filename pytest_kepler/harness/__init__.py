"""What runs inside pytest once a session has an experiment in it."""
