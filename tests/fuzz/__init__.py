"""Coverage-guided fuzzing of whatever reads what others write: `make fuzz`."""
