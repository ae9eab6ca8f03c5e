"""What differs from one SMS provider to the next: four pure functions each. Sockets belong to the workers."""
