"""What one verification costs and how long it takes, through every real process."""
