"""Cooldown trackers: the interface, and the one that is made of circuit breakers."""
