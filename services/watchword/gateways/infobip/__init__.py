"""Infobip: JSON over HTTP, dedupes by our reference, can be asked, reports unsigned."""
