"""Erasure: one number's data key is deleted, and with it every sealed copy of the number becomes unreadable."""
