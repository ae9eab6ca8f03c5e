"""What dispatch decides, one module a verb: plan an account, approach an attempt, conclude it, postpone an event."""
