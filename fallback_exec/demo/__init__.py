"""The main job: loopback vendors that fail as vendors do, and hundreds of requests that all get an answer.

`python -m fallback_exec demo` runs it. With the same seed each vendor makes the same decisions in the same
order; which request meets which of them is up to the threads.
"""

from __future__ import annotations

from fallback_exec.demo.run import run_demo, usual_vendors

__all__ = ["run_demo", "usual_vendors"]
