"""MSG91: its own registered templates filled with our code, 200 to everything, reports unsigned."""
