"""Phones and carriers to play against: seeded, bounded, over HTTP. Never in the path of a real message."""
