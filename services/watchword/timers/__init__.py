"""Timers: what is overdue gets what it is owed."""
