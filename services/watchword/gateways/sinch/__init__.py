"""Sinch SMS: JSON over HTTP, can be asked by our reference, signs its reports where that is set up."""
