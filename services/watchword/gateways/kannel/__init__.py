"""Kannel smsbox: everything in the address, a line of text back, no id before the report."""
