"""What an operator asks of a running system: is everything in its place (`doctor`), how does it fare (`top`)."""
