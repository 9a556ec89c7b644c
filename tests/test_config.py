"""ExecuteConfig: its defaults, what it takes and what it refuses."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import attrs
import pytest

from fallback_exec import (
    BreakerCooldownTracker,
    CooldownTracker,
    ExecuteConfig,
    FallbackExecError,
    InvalidConfigError,
    ProviderFailedError,
    RoundRobinIndex,
    Strategy,
    execute,
)
from helpers import Records, ThreeMethodTracker, VendorError, error_of, logger_with, replying, vendors


class ReprRaises:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise VendorError("no repr")

    __str__ = __repr__


class TestExecuteConfig:
    """The settings of an execution."""

    def test_defaults(self) -> None:
        """Without settings it is Go's zero value: the first provider, no tracker, the library's logger."""
        config = ExecuteConfig()
        assert config.strategy is Strategy.PRIMARY_ONLY
        assert config.cooldown is None
        assert config.logger is logging.getLogger("fallback_exec")
        assert isinstance(config.round_robin_index, RoundRobinIndex)

    def test_each_has_a_round_robin_index_of_its_own(self) -> None:
        """The default index is not shared."""
        assert ExecuteConfig().round_robin_index is not ExecuteConfig().round_robin_index

    def test_keeps_what_it_is_given(self) -> None:
        """Settings are attributes, the very objects."""
        tracker, logger, index = BreakerCooldownTracker(), logging.getLogger("app"), RoundRobinIndex()
        config = ExecuteConfig(
            strategy=Strategy.ROUND_ROBIN, cooldown=tracker, logger=logger, round_robin_index=index
        )
        assert config.strategy is Strategy.ROUND_ROBIN
        assert (config.cooldown, config.logger, config.round_robin_index) == (tracker, logger, index)

    @pytest.mark.parametrize("strategy", Strategy)
    def test_a_string_becomes_a_strategy(self, strategy: Strategy) -> None:
        """A strategy's value will do, as it stands in a file of settings."""
        assert ExecuteConfig(strategy=strategy.value).strategy is strategy

    def test_an_empty_strategy_is_primary_only(self) -> None:
        """Go's zero value is an empty string."""
        assert ExecuteConfig(strategy="").strategy is Strategy.PRIMARY_ONLY

    def test_takes_a_logger_adapter(self) -> None:
        """An adapter is a logger."""
        adapter = logging.LoggerAdapter(logging.getLogger("app"), {"request": 7})
        assert ExecuteConfig(logger=adapter).logger is adapter

    @pytest.mark.parametrize("setting", ["cooldown", "round_robin_index"])
    def test_none_stands_for_nothing(self, setting: str) -> None:
        """No tracker and no index are None."""
        assert getattr(ExecuteConfig(**{setting: None}), setting) is None  # type: ignore[arg-type]  # one of the two

    def test_no_logger_is_the_default(self) -> None:
        """`logger=None` is the library's logger, as in Go."""
        assert ExecuteConfig(logger=None).logger is logging.getLogger("fallback_exec")

    def test_settings_are_keywords(self) -> None:
        """Settings have names, so that their order never matters."""
        with pytest.raises(TypeError):
            ExecuteConfig(Strategy.FALLBACK)  # type: ignore[call-arg]  # on purpose

    def test_is_immutable(self) -> None:
        """A config that is in use cannot change."""
        config = ExecuteConfig()
        for field in attrs.fields(ExecuteConfig):
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(config, field.name, None)

    def test_may_be_evolved(self) -> None:
        """`attrs.evolve()` gives another config that differs in the change alone, and acts by it."""
        before = ExecuteConfig(cooldown=BreakerCooldownTracker())
        after = attrs.evolve(before, strategy="round_robin")
        assert (before.strategy, after.strategy) == (Strategy.PRIMARY_ONLY, Strategy.ROUND_ROBIN)
        assert after.cooldown is before.cooldown
        assert after.round_robin_index is before.round_robin_index
        assert [execute(vendors("a", "b"), after, lambda each: each.name).response for _ in range(2)] == [
            "a",
            "b",
        ]
        with pytest.raises(InvalidConfigError):
            attrs.evolve(before, strategy="bogus")

    def test_configs_of_the_same_settings_are_equal(self) -> None:
        """Configs compare by their settings."""
        index = RoundRobinIndex()
        assert ExecuteConfig(round_robin_index=index) == ExecuteConfig(round_robin_index=index, strategy="")
        assert ExecuteConfig(round_robin_index=index) != ExecuteConfig(
            round_robin_index=index, strategy="fallback"
        )

    def test_shows_its_settings(self) -> None:
        """The repr has the settings, and nothing private."""
        text = repr(ExecuteConfig(strategy="fallback"))
        assert "Strategy.FALLBACK" in text
        assert "cooldown=None" in text
        assert "_" not in text.replace("round_robin_index", "").replace("fallback_exec", "")

    @pytest.mark.parametrize(
        "strategy", ["bogus", "FALLBACK", " fallback", None, 0, 5, True, b"fallback", [], {}], ids=repr
    )
    def test_an_unknown_strategy_is_refused(self, strategy: Any) -> None:
        """Anything but a strategy, its value and the empty string is refused, with Go's text."""
        with pytest.raises(InvalidConfigError, match="invalid config: unknown strategy ") as caught:
            ExecuteConfig(strategy=strategy)
        assert caught.value.setting == "strategy"
        assert f"strategy must be one of primary_only, fallback, round_robin, got {strategy!r}" in str(
            caught.value
        )

    @pytest.mark.parametrize(
        ("setting", "value"),
        [
            *[
                ("cooldown", value)
                for value in ("x", 5, True, object, BreakerCooldownTracker, ThreeMethodTracker)
            ],
            *[("logger", value) for value in ("app", 5, True, logging, logging.Logger, print)],
            *[
                ("round_robin_index", value)
                for value in (0, 5, True, "x", itertools.count(), RoundRobinIndex)
            ],
        ],
        ids=repr,
    )
    def test_a_setting_of_the_wrong_type_is_refused(self, setting: str, value: Any) -> None:
        """The text names the setting, what it must be, and the value."""
        with pytest.raises(InvalidConfigError, match=f"invalid config: {setting} must be a ") as caught:
            ExecuteConfig(**{setting: value})
        assert caught.value.setting == setting
        assert repr(value)[:30] in str(caught.value)
        assert caught.value.attempts == ()

    def test_says_what_a_setting_may_be(self) -> None:
        """The types are named, and None only where it is taken."""
        rules = {}
        for setting in ("cooldown", "logger", "round_robin_index"):
            with pytest.raises(InvalidConfigError) as caught:
                ExecuteConfig(**{setting: 5})  # type: ignore[arg-type]  # on purpose
            rules[setting] = str(caught.value)
        assert rules == {
            "cooldown": "invalid config: cooldown must be a CooldownTracker or None, got 5",
            "logger": "invalid config: logger must be a Logger or LoggerAdapter, got 5",
            "round_robin_index": "invalid config: round_robin_index must be a RoundRobinIndex or None, got 5",
        }

    def test_a_tracker_must_be_one(self) -> None:
        """Three methods of the right names are not enough: the defaults come from the base class."""

        class Lookalike:
            is_available = cooldown_remaining = record_failure = None

        with pytest.raises(InvalidConfigError):
            ExecuteConfig(cooldown=Lookalike())  # type: ignore[arg-type]  # on purpose

    @pytest.mark.parametrize("setting", ["strategy", "cooldown", "logger", "round_robin_index"])
    @pytest.mark.parametrize("value", [ReprRaises(), 10**5000], ids=["raises", "long"])
    def test_a_value_that_cannot_be_shown_is_refused_all_the_same(self, setting: str, value: Any) -> None:
        """However badly a value behaves when it is shown, the library's error is raised."""
        with pytest.raises(FallbackExecError):
            ExecuteConfig(**{setting: value})

    def test_a_logger_of_the_users_is_used(self, records: Records) -> None:
        """Everything is logged to the logger that is given, and nothing to the library's."""
        config = ExecuteConfig(logger=logger_with(records))
        error_of(ProviderFailedError, vendors("grok"), config, replying(grok=VendorError("down")))
        assert len(records.kept) == 1

    def test_the_default_logger_is_the_librarys(self, caplog: pytest.LogCaptureFixture) -> None:
        """Without a logger, records go to the one named `fallback_exec`."""
        error_of(ProviderFailedError, vendors("grok"), ExecuteConfig(), replying(grok=VendorError("down")))
        assert [record.name for record in caplog.records] == ["fallback_exec"]

    def test_any_tracker_will_do(self) -> None:
        """What inherits from `CooldownTracker` is a tracker."""
        tracker = ThreeMethodTracker()
        assert isinstance(tracker, CooldownTracker)
        assert ExecuteConfig(cooldown=tracker).cooldown is tracker
