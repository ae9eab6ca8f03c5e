"""Dead letters: what nothing could come of, until an operator sends it again or lets it go."""
