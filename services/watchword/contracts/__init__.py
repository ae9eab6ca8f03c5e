"""The public contract in schemas/: finding it, reading it, holding values and new versions to it."""
