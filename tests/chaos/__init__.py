"""Users who are told the truth, and everything that can break under them: chaos, soak, overload."""
