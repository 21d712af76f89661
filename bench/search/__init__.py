"""Search for good settings: the same budget for every arm, then the tuned arms on test."""
