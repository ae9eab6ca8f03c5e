"""Callbacks: whoever asked to be told is told, by signed webhook and on otp.results, until they have it."""
