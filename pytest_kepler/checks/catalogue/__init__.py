"""The checks themselves, a folder for each family, a module for each check."""
