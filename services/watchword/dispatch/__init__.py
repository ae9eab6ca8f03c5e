"""Dispatch: one attempt becomes one call to a gateway, and one account of what came of it."""
