"""Reading the topics back: timelines, searches, and the state rebuilt from events alone."""
