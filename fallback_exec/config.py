"""The settings of an execution."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs

from fallback_exec import _checks, _log
from fallback_exec._log import Log, Logger
from fallback_exec._text import Redact, brief, masked_repr
from fallback_exec.cooldown.tracker import CooldownTracker
from fallback_exec.errors import InvalidConfigError
from fallback_exec.redaction import redact
from fallback_exec.strategies import RoundRobinIndex, Route, Strategy, route_of
from fallback_exec.verdicts import Verdict, is_half_written

if TYPE_CHECKING:
    from fallback_exec.events import Listener
    from fallback_exec.notifying import Notifier


def _as_strategy(value: Strategy | str) -> Strategy:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return Strategy(value or Strategy.PRIMARY_ONLY)
    text = value if isinstance(value, str) else brief(value)
    rule = f"must be one of {', '.join(Strategy)}"
    raise InvalidConfigError("strategy", value, rule, summary=f"unknown strategy {text}")


def _as_logger(value: Logger | None) -> Logger:
    return _log.default_logger if value is None else value


def _instance_of(*types: type[object] | None) -> Callable[..., None]:
    """Return an attrs validator that takes instances of the types, and None where it is among them."""
    classes = tuple(each for each in types if each is not None)
    names = " or ".join("None" if each is None else each.__name__ for each in types)

    def check(_config: object, field: attrs.Attribute[object], value: object) -> None:
        if not (isinstance(value, classes) or (value is None and None in types)):
            raise InvalidConfigError(field.name, value, f"must be a {names}")

    return check


def _function(_config: object, field: attrs.Attribute[Any], value: object) -> None:
    if value is not field.default:
        _checks.function(field.name, value)


def _classifier(config: object, field: attrs.Attribute[Any], value: object) -> None:
    _function(config, field, value)
    # A class, `ErrorClassifier` say, can be called, too, and would say no verdict in the first outage.
    if is_half_written(value) or issubclass(type(value), type):
        rule = "must be a function that returns a Verdict, or an object like an ErrorClassifier"
        raise InvalidConfigError(field.name, value, rule)


def _as_listeners(value: Iterable[Listener]) -> tuple[Listener, ...]:
    rule = "must be a sequence of callables that take an event"
    # A text, too, can be iterated, and a listener that can is none for the asking.
    if callable(value) or isinstance(value, str | bytes):
        raise InvalidConfigError("listeners", value, rule)
    try:
        listeners = tuple(value)
    except Exception as error:
        raise InvalidConfigError("listeners", value, rule) from error
    for place, listener in enumerate(listeners):
        _checks.function(f"listeners[{place}]", listener)
        if issubclass(type(listener), type):  # which would be built anew for each event
            raise InvalidConfigError(f"listeners[{place}]", listener, "must be a function or an object")
    return listeners


def _notifier_of(listeners: tuple[Listener, ...], log: Log) -> Notifier | None:
    if not listeners:
        return None
    # Here, as who has no listeners needs none of it.
    from fallback_exec.notifying import Notifier  # noqa: PLC0415

    return Notifier(listeners, log, {})


def _route_of(config: ExecuteConfig) -> Route:
    log = Log(config.logger, config.redact)
    return route_of(
        config.strategy,
        log,
        config.cooldown,
        config.round_robin_index,
        config.classify,
        config.accept,
        _notifier_of(config.listeners, log),
    )


@attrs.frozen(kw_only=True)
class ExecuteConfig:
    """How `execute()` chooses among providers. Immutable, checked when built, safe to share.

    Attributes:
        strategy: A `Strategy` or its value. The default, `PRIMARY_ONLY`, is Go's zero value, as is `""`;
            use `FALLBACK` in production.
        cooldown: The tracker that `FALLBACK` asks and tells. None: nobody is ever passed over.
        logger: A `logging.Logger` or `LoggerAdapter`, whose `extra` is merged with ours. None: the
            logger named `"fallback_exec"`.
        round_robin_index: The counter of `ROUND_ROBIN`. By default each config has its own;
            None always picks the first provider.
        classify: Given a provider's error, says what it means: `classify_error`, say, or a function of
            yours. None: every `Exception` is a failure. One that raises, or returns anything else, is logged,
            and the attempt counts as a failure.
        accept: Given an answer, says whether it is one. What is rejected is a failure, a
            `ResponseRejectedError` that holds the answer, and the next provider is tried. None: every answer
            is accepted. What it raises is raised unchanged by `execute()`, and nothing is counted.
        redact: Masks credentials in a text: all texts that come from outside, errors' and names, pass through
            it before they are logged or stand in an error's text. By default `fallback_exec.redact`; `str`
            masks nothing. Where it raises, no text is shown.
        listeners: Called in turn with each event of `fallback_exec.events` as it happens, in the thread that
            executes and under no lock. What one raises is logged once for each, and changes nothing.

    Raises:
        InvalidConfigError: a setting is of the wrong type, or the strategy is unknown.
    """

    strategy: Strategy = attrs.field(default=Strategy.PRIMARY_ONLY, converter=_as_strategy)
    cooldown: CooldownTracker | None = attrs.field(
        default=None, validator=_instance_of(CooldownTracker, None), repr=masked_repr
    )
    logger: Logger = attrs.field(
        default=None,
        converter=_as_logger,
        validator=_instance_of(logging.Logger, logging.LoggerAdapter),
        repr=masked_repr,
    )
    round_robin_index: RoundRobinIndex | None = attrs.field(
        factory=RoundRobinIndex, validator=_instance_of(RoundRobinIndex, None)
    )
    classify: Callable[[Exception], Verdict] | None = attrs.field(
        default=None, validator=_classifier, repr=masked_repr
    )
    accept: Callable[..., bool] | None = attrs.field(default=None, validator=_function, repr=masked_repr)
    redact: Redact = attrs.field(default=redact, validator=_function, repr=masked_repr)
    listeners: tuple[Listener, ...] = attrs.field(default=(), converter=_as_listeners, repr=masked_repr)
    # For execution: the strategy, worked out.
    _route: Route = attrs.field(
        init=False, repr=False, eq=False, default=attrs.Factory(_route_of, takes_self=True)
    )
