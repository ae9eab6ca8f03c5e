"""Fraud: says of every send request what should become of it and why, and judges features over time."""
