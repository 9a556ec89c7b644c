"""Provider failover: try several vendors for one job, in order, and say what happened.

>>> from fallback_exec import BreakerCooldownTracker, ExecuteConfig, NamedProvider, Strategy, execute
>>> def primary(question): raise ConnectionError("down")
>>> def backup(question): return question.upper()
>>> config = ExecuteConfig(strategy=Strategy.FALLBACK, cooldown=BreakerCooldownTracker())
>>> chain = [NamedProvider("primary", primary), NamedProvider("backup", backup)]
>>> result = execute(chain, config, lambda provider: provider.client("anyone there?"))
>>> result.response, result.provider, result.attempt_num
('ANYONE THERE?', 'backup', 2)
"""

from fallback_exec.classify import ErrorClassifier, classify_error
from fallback_exec.config import ExecuteConfig
from fallback_exec.cooldown.breaker import BreakerCooldownTracker, CooldownStatus
from fallback_exec.cooldown.settings import BreakerSettings
from fallback_exec.cooldown.tracker import CooldownTracker, Cooling, Permit
from fallback_exec.deadline import Deadline
from fallback_exec.errors import (
    AllProvidersFailedError,
    DeadlineExceededError,
    ExecutionCancelledError,
    FallbackExecError,
    InvalidConfigError,
    NoProvidersError,
    ProviderFailedError,
    ResponseRejectedError,
    StandInError,
)
from fallback_exec.execution import execute
from fallback_exec.providers import EXEMPT_PROVIDERS, NamedProvider, Provider
from fallback_exec.redaction import redact
from fallback_exec.results import Attempt, ExecuteResult, Outcome
from fallback_exec.stale import StaleIfError
from fallback_exec.strategies import RoundRobinIndex, Strategy
from fallback_exec.streaming import StreamResult, execute_stream
from fallback_exec.verdicts import Verdict

__all__ = [
    "EXEMPT_PROVIDERS",
    "AllProvidersFailedError",
    "Attempt",
    "BreakerCooldownTracker",
    "BreakerSettings",
    "CooldownStatus",
    "CooldownTracker",
    "Cooling",
    "Deadline",
    "DeadlineExceededError",
    "ErrorClassifier",
    "ExecuteConfig",
    "ExecuteResult",
    "ExecutionCancelledError",
    "FallbackExecError",
    "InvalidConfigError",
    "NamedProvider",
    "NoProvidersError",
    "Outcome",
    "Permit",
    "Provider",
    "ProviderFailedError",
    "ResponseRejectedError",
    "RoundRobinIndex",
    "StaleIfError",
    "StandInError",
    "Strategy",
    "StreamResult",
    "Verdict",
    "classify_error",
    "execute",
    "execute_stream",
    "redact",
]
