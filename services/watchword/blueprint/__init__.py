"""From the map to deploy/: pure functions that write what would otherwise repeat it. No worker needs this."""
