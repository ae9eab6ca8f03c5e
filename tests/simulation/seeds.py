"""Seeds whose histories broke a promise once, and what it was. What was mended has a test of its own as well: a history
changes with every line that is added to a worker."""

from collections.abc import Mapping

FOUND: Mapping[int, str] = {}
