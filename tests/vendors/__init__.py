"""Real SDKs against loopback vendors that fail: `python -m vendors` prints what the errors mean."""
