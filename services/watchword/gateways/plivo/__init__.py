"""Plivo: JSON over HTTP, signs addresses and fields it reports to."""
