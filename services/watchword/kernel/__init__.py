"""Values and laws: what a verification is and what may happen to it. No input or output, no clock, no randomness."""
