"""Machinery that tests share. It is tested itself, in tests/support/test_support.py."""
