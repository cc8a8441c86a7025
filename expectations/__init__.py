"""Rules over what was accepted, their results, Great Expectations and the gate."""
