"""The attacker uses the library where an interpreter begins, ends or is not alone.

They want a hang at exit, a message on stderr, or an import that works in the main interpreter only.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from helpers import PATIENCE

BEGINNING = """
import atexit, gc, logging, signal, sys, threading, time, weakref
from fallback_exec import BreakerCooldownTracker, ExecuteConfig, FallbackExecError, NamedProvider, execute
logging.getLogger("fallback_exec").addHandler(logging.NullHandler())
tracker = BreakerCooldownTracker(fail_max=1)
config = ExecuteConfig(strategy="fallback", cooldown=tracker)
grok, gemini = NamedProvider("grok", None), NamedProvider("gemini", None)
def fail(provider):
    raise ConnectionError("down")
"""


def run(script: str) -> str:
    """Run the script in a process of its own, with warnings as errors; return what it printed."""
    command = [sys.executable, "-W", "error", "-c", BEGINNING + textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


class TestShutdown:
    """The end of the interpreter."""

    def test_a_permit_that_outlives_everything_is_quiet(self) -> None:
        """A probe under way at exit, in a ring of garbage and in a global, says nothing as it goes."""
        run(
            """
            tracker.breaker("grok").half_open()
            tracker.breaker("gemini").half_open()
            kept = tracker.acquire("grok")
            ring = [tracker.acquire("gemini")]
            ring.append(ring)
            del ring
            """
        )

    def test_execute_works_at_exit(self) -> None:
        """A function that runs at exit may execute, answer and fail."""
        script = """
            @atexit.register
            def last():
                try:
                    execute([grok], config, fail)
                except FallbackExecError as error:
                    result = execute([grok, gemini], config, lambda provider: provider.name)
                    print(result.response, error.retry_after > 0)
            """
        assert run(script) == "gemini True"

    def test_execute_in_the_finalizer_of_a_global(self) -> None:
        """A global that executes when it is finalized, late in the shutdown, gets its answer."""
        script = """
            class Late:
                def __del__(self):
                    sys.stdout.write(execute([grok], config, lambda provider: provider.name).response)
                    sys.stdout.flush()

            Late.config = config
            late = Late()
            """
        assert run(script) == "grok"

    def test_daemon_threads_in_flight_hold_nobody_up(self) -> None:
        """Calls that hang in daemon threads, and threads that execute without end, keep no process."""
        script = """
            begun = threading.Barrier(9)

            def hang(provider):
                begun.wait()
                threading.Event().wait()

            def spin():
                begun.wait()
                while True:
                    try:
                        execute([grok, gemini], config, fail)
                    except FallbackExecError:
                        pass

            for number in range(8):
                work = spin if number % 2 else lambda: execute([grok], config, hang)
                threading.Thread(target=work, daemon=True).start()
            begun.wait()
            print("over", flush=True)
            """
        assert run(script) == "over"

    def test_ctrl_c_ends_a_script_with_the_usual_code(self) -> None:
        """A real SIGINT during a call ends the process as it would without the library."""
        script = """
            tracker.breaker("grok").half_open()
            def interrupt(provider):
                signal.raise_signal(signal.SIGINT)
            try:
                execute([grok, gemini], config, interrupt)
            except KeyboardInterrupt as interruption:
                print(interruption.__context__, tracker.is_available("grok"))
            """
        assert run(script) == "None True"


SUBINTERPRETER = """
import sys
import fallback_exec
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
code = '''
import sys
sys.path[:] = {path!r}
import logging
from fallback_exec import *
logging.getLogger("fallback_exec").addHandler(logging.NullHandler())
tracker = BreakerCooldownTracker(fail_max=1)
config = ExecuteConfig(strategy="fallback", cooldown=tracker)
def fn(provider):
    if provider.name == "grok":
        raise ConnectionError("down")
    return "a dog"
chain = [NamedProvider("grok", None), NamedProvider("gemini", None)]
for _ in range(2):
    result = execute(chain, config, fn)
print([attempt.outcome.value for attempt in result.attempts], flush=True)
'''.format(path=sys.path)
interpreter = interpreters.create()
failure = interpreters.run_string(interpreter, code)
assert failure is None, failure
print(fallback_exec.__name__, flush=True)
interpreters.destroy(interpreter)
# And no other one after it: Python 3.12.1 dies of the second that imports datetime.
"""


class TestSubinterpreters:
    """More than one interpreter in a process."""

    def test_each_has_a_library_of_its_own(self) -> None:
        """An interpreter beside the main one, which has imported the library too, falls back."""
        command = [sys.executable, "-c", SUBINTERPRETER]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (done.returncode, done.stdout.splitlines()) == (
            0,
            ["['skipped', 'success']", "fallback_exec"],
        ), done.stderr


class TestModules:
    """Modules that are taken away, or loaded anew."""

    @pytest.mark.parametrize("module", ["fallback_exec.execution", "fallback_exec"])
    def test_a_module_that_is_loaded_anew_breaks_no_running_tracker(self, module: str) -> None:
        """A reload, as notebooks do it, leaves the trackers and configs that were there before at work."""
        script = f"""
            import importlib
            execute([grok, gemini], config, lambda provider: provider.name)
            importlib.reload(sys.modules[{module!r}])
            print(execute([grok, gemini], config, lambda provider: provider.name).response)
            """
        assert run(script) == "grok"
