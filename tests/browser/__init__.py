"""The status page in a real browser: its tests, and the pictures of it in the docs."""
