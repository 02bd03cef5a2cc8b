"""Starts a list of processes in order, keeps them running, stops them in reverse order. Knows none of them by name."""
