"""One module per event: a frozen struct of the newest version, and how older versions become it."""
