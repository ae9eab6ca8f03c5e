"""Watchword beside what else hands messages to carriers: one module a system, one carrier, one load."""
