"""Jasmin: a form, a line of text back, reports that want to be acknowledged in its own words."""
