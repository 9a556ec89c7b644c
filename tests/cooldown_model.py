"""What a cooldown is, said again in plain Python: the oracle for the breaker tracker's state machine.

It is written from the design's words and its outcome table, never from the tracker, and is meant to be
obviously right rather than fast: one thread, no locks, no breakers, no floats. Times and lengths are whole
microseconds, which is what the clock resolves; the caller says what time it is.

What the design leaves open is decided here, once, each where it says "Decided".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import Final, Literal, TypeAlias

SECOND: Final = 1_000_000

State: TypeAlias = Literal["closed", "open", "half-open"]


@dataclass(frozen=True)
class ModelSettings:
    """One provider's settings; durations in microseconds."""

    fail_max: int = 3
    reset_timeout: int = 30 * SECOND
    success_threshold: int = 1
    backoff_factor: float = 1.0
    max_reset_timeout: int = 300 * SECOND
    jitter: float = 0.0
    probe_lease: int | None = None

    @property
    def lease(self) -> int:
        """How old a probe becomes before it is presumed lost."""
        return max(60 * SECOND, self.reset_timeout) if self.probe_lease is None else self.probe_lease

    def length(self, reopenings: int) -> int:
        """Return how long a cooldown lasts that follows so many failed probes in a row, without jitter."""
        limit = max(self.reset_timeout, self.max_reset_timeout)
        return min(limit, round(self.reset_timeout * Fraction(self.backoff_factor) ** reopenings))


@dataclass
class Stretch:
    """A stretch of time that ends `length` after it began: a cooldown, or the lease of a probe."""

    began: int
    length: int
    was_seen_over: bool = False

    @property
    def ends(self) -> int:
        """When it ends, as far as was seen. This is not a look."""
        return self.began + self.length

    def left(self, now: int) -> int:
        """Look at it, and return what is left.

        Where the clock has stepped back to before the beginning, the beginning moves there, so that
        from this look it lasts its full length at worst. What has been seen to be over stays over.
        """
        self.began = min(self.began, now)
        left = max(0, self.ends - now)
        self.was_seen_over = self.was_seen_over or left == 0
        return 0 if self.was_seen_over else left


@dataclass(eq=False)
class ModelPermit:
    """The permit of one attempt.

    Attributes:
        era: The era it belongs to.
        cooling: What is left of the cooldown that it was forced through; None where it was let through.
        is_shared: Whether the provider was closed. All attempts share such a permit.
        lease: For a probe, how long it is waited for.
        has_begun: Whether its attempt has counted as a success already.
        is_spent: Whether it has taken its one outcome.
    """

    era: int
    cooling: int | None = None
    is_shared: bool = False
    lease: Stretch | None = None
    has_begun: bool = False
    is_spent: bool = False


@dataclass(frozen=True)
class ModelStatus:
    """What is shown of a provider."""

    state: State
    failures: int
    cooldown_remaining: int
    openings: int
    last_error: str | None


@dataclass
class ModelProvider:
    """One provider's cooldown.

    Attributes:
        settings: Its own settings.
        random: Where jitter is drawn from.
        state: As its breaker has it: "open" until somebody probes, however long the cooldown is over.
        era: Which era it is. Each change of the state begins another.
        failures: In a row.
        successes: Since the provider became half-open.
        reopenings: Failed probes in a row, the design's n.
        openings: How many cooldowns have started.
        last_error: Decided: that of the last failure of the present era, a forced terminus's as well.
        cooldown: The cooldown, while open.
        probe: The probe that is under way, while half-open.
    """

    settings: ModelSettings
    random: Random
    state: State = "closed"
    era: int = 0
    failures: int = 0
    successes: int = 0
    reopenings: int = 0
    openings: int = 0
    last_error: str | None = None
    cooldown: Stretch | None = None
    probe: ModelPermit | None = None

    # Views.

    def cooling(self, now: int) -> int | None:
        """Return what is left of the cooldown, 0 while somebody probes, None when one may attempt."""
        if self.cooldown is not None:
            return self.cooldown.left(now) or None
        if self.probe is not None and self.probe.lease is not None and self.probe.lease.left(now):
            return 0
        return None

    def status(self, now: int) -> ModelStatus:
        """Return what is shown. Once a cooldown has elapsed, that is half-open."""
        remaining = self.cooling(now) or 0
        state: State = "half-open" if self.state == "open" and not remaining else self.state
        return ModelStatus(state, self.failures, remaining, self.openings, self.last_error)

    # Attempts.

    def acquire(self, now: int, *, force: bool) -> ModelPermit | int:
        """Return a permit, or what is left of the cooldown that forbids one."""
        if self.state == "closed":
            return ModelPermit(self.era, is_shared=True)
        cooling = self.cooling(now)
        if cooling is not None:
            return ModelPermit(self.era, cooling) if force else cooling
        if self.state == "open" or self.probe is not None:  # over, or with a probe that is lost
            self.half_open()
        self.probe = ModelPermit(self.era, lease=Stretch(now, self.settings.lease))
        return self.probe

    def succeed(self, permit: ModelPermit) -> None:
        """Take a success: the first row of the table. One attempt is one success."""
        if self._takes(permit) and not permit.has_begun:
            self.failures = 0
            if self.state == "open":
                self.close()
            elif self.state == "half-open":
                self.successes += 1
                if self.successes >= self.settings.success_threshold:
                    self.close()
        self.release(permit)

    def fail(self, permit: ModelPermit, now: int, error: str) -> bool:
        """Take a failure: the second row. Return whether it started a cooldown."""
        started = False
        if self._takes(permit):
            self.last_error = error
            is_cooling = self.cooldown is not None and self.cooldown.left(now) > 0
            if not is_cooling:
                self.failures += 1
                if self.state != "closed":
                    self.reopenings += 1
                    started = True
                elif self.failures >= self.settings.fail_max:
                    started = True
            if started:
                self._open(now, self._with_jitter(self.settings.length(self.reopenings)))
        self.release(permit)
        return started

    def fail_for(self, permit: ModelPermit, now: int, error: str, seconds: int | None) -> bool:
        """Take a failure that says for how long to leave the provider alone, None: for as long as usual.

        The second row, as if `fail_max` were reached. While a cooldown runs, seconds may move its end to a
        later moment, whatever the era of the permit. Decided: that, too, is one of its outcomes; and what a
        forced permit then tells is what is left of the cooldown that runs, if one does.
        """
        if permit.is_spent:
            return False
        is_cooling = self.cooldown is not None and self.cooldown.left(now) > 0
        started = not is_cooling and self._takes(permit)
        if self._takes(permit):
            self.last_error = error
        if started:
            self.failures += 1
            self.reopenings += self.state != "closed"
            own = self.settings.length(self.reopenings)
            self._open(now, self._with_jitter(own) if seconds is None else seconds)
        elif self.cooldown is not None and is_cooling and seconds is not None:
            # Decided: what is moved begins anew, as when a hand moves it. So a clock that steps back makes
            # the vendor's seconds no longer than they are.
            moved = Stretch(now, seconds)
            self.cooldown = moved if moved.ends > self.cooldown.ends else self.cooldown
        if permit.cooling is not None and self.cooldown is not None:
            permit.cooling = self.cooldown.left(now) or permit.cooling
        self.release(permit)
        return started

    def begin(self, permit: ModelPermit) -> ModelPermit:
        """Take what a probe has begun to answer as its success; return the permit for the rest.

        That belongs to the era that follows, and holds no probe. Any other permit is its own rest, and so is
        that of a probe that is stale. Decided: a spent probe's is, too.
        """
        if permit.lease is None or not self._takes(permit):
            return permit
        self.succeed(permit)
        return ModelPermit(self.era, has_begun=True)

    def release(self, permit: ModelPermit) -> None:
        """Take neither, which is also what is left of a permit that is dropped: the third row."""
        permit.is_spent = not permit.is_shared
        if self.probe is permit:
            self.probe = None

    def _takes(self, permit: ModelPermit) -> bool:
        """Return whether an outcome counts: no stale one, and of a permit of its own only the first.

        Decided: a permit that is shared cannot tell a second outcome from another attempt's.
        """
        return permit.era == self.era and not permit.is_spent

    # By hand.

    def cool_down(self, now: int, seconds: int | None) -> bool:
        """Begin a cooldown, or set the end of the one that runs. Return whether one began.

        Decided: without seconds it is the provider's own `reset_timeout`, without backoff, with a
        jitter that is drawn each time.
        """
        length = self._with_jitter(self.settings.reset_timeout) if seconds is None else seconds
        return self._open(now, length)

    def open_by_hand(self, now: int) -> bool:
        """Open the breaker by hand. Decided: as a cooldown by hand of `reset_timeout` seconds."""
        return self._open(now, self.settings.reset_timeout)

    def half_open(self) -> None:
        """Half-open the breaker, by hand or for a probe.

        Decided: by hand it begins a new era in any case, so that the next caller probes.
        """
        self._begin("half-open")

    def close(self) -> None:
        """Close the breaker, or leave it closed, in the same era; either way failures are forgotten."""
        if self.state != "closed":
            self._begin("closed")
        self.failures = 0
        self.reopenings = 0

    # Changes.

    def _open(self, now: int, length: int) -> bool:
        """Begin a cooldown and return True; where one is running, only set its end."""
        begins = self.cooldown is None or not self.cooldown.left(now)
        if begins:
            self._begin("open")
            self.openings += 1
        self.cooldown = Stretch(now, length)
        return begins

    def _begin(self, state: State) -> None:
        """Begin an era: what belonged to the one before is stale."""
        self.state = state
        self.era += 1
        self.successes = 0
        self.cooldown = None
        self.probe = None

    def _with_jitter(self, length: int) -> int:
        """Return the length with a random part, drawn once; no jitter draws nothing."""
        if not self.settings.jitter:
            return length
        return round(length * (1 + Fraction(self.settings.jitter) * Fraction(self.random.random())))


@dataclass
class CooldownModel:
    """All providers that a tracker must remember; views make nobody known, all else does.

    Attributes:
        settings: The tracker's.
        overrides: Those of single providers, complete.
        random: Where jitter is drawn from, whoever's it is.
        now: What time it is.
        providers: What is known, by name.
    """

    settings: ModelSettings
    overrides: Mapping[str, ModelSettings]
    random: Random
    now: int = 0
    providers: dict[str, ModelProvider] = field(default_factory=dict)

    def provider(self, name: str) -> ModelProvider:
        """Return the provider, beginning anew where nothing is known of it."""
        if name not in self.providers:
            self.providers[name] = ModelProvider(self.overrides.get(name, self.settings), self.random)
        return self.providers[name]

    def cooling(self, name: str) -> int | None:
        """Return what is left of a cooldown, 0 while somebody probes, None when one may attempt."""
        return self.providers[name].cooling(self.now) if name in self.providers else None

    def record_failure(self, name: str, error: str) -> bool:
        """Take a failure that begins now."""
        provider = self.provider(name)
        return provider.fail(self._forced(provider), self.now, error)

    def record_success(self, name: str) -> None:
        """Take a success that begins now."""
        provider = self.provider(name)
        provider.succeed(self._forced(provider))

    def reset_all(self) -> None:
        """Close every breaker."""
        for provider in self.providers.values():
            provider.close()

    def edges(self, names: Iterable[str]) -> list[int]:
        """Return the moments at which something of these providers ends. This is not a look."""
        ends = []
        for provider in (self.providers[name] for name in names if name in self.providers):
            running = provider.cooldown if provider.probe is None else provider.probe.lease
            if running is not None:
                ends.append(running.ends)
        return ends

    def _forced(self, provider: ModelProvider) -> ModelPermit:
        permit = provider.acquire(self.now, force=True)
        assert isinstance(permit, ModelPermit)
        return permit
