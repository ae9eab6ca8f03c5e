"""Seeds whose histories broke a promise once, and what it was. What was mended has a test of its own as well, for a
history changes with every line that is added to a worker."""

from collections.abc import Mapping

FOUND: Mapping[int, str] = {
    62604267938: "a carrier that dedupes refused a message that it had taken before: the simulated carrier's own fault",
}
