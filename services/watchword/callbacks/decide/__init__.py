"""Whom to tell what, when to try again, when to leave an endpoint alone. Pure."""
