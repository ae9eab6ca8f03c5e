"""Receipts: what carriers say of the messages they took."""
