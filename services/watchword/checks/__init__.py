"""Checks: what the user typed is counted, compared, and answered once."""
