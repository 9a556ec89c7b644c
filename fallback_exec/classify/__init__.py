"""What vendors' errors mean, found out without their SDKs.

`shape` reads the signs of an error, `retry_after` how long the vendor asks to wait, `names` the words in the
names of its classes; `rules` has the table, and `classifier` goes through it.
"""

from fallback_exec.classify.classifier import ErrorClassifier, Rule, classify_error

__all__ = ["ErrorClassifier", "Rule", "classify_error"]
