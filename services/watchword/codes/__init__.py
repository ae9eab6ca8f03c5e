"""Codes: an assessed request becomes a code, sealed, and the first attempt to send it."""
