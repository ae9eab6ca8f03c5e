"""Vonage SMS API: forms over HTTP, 200 to everything, signs what it reports."""
