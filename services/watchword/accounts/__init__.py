"""Accounts with providers, as an operator handles them: what there is, whether one is right, one message through it."""
