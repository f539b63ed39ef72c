"""How much a worker has to do, and when that is enough: a call is refused before the others suffer.

Ten times a second ``tick`` is told how late the event loop woke up and how long the models' queue is;
``heard`` is told once a second of every live call how late its latest frame was. A worker is full when one
of these was beyond its limit for most of the last seconds (``window``, ``late_for``), and takes calls again
when it was below the lower limit for as long: between the two it remains what it was.
"""

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final

WITHOUT_CALLS: Final = 1.5
"""Seconds without a frame of any call, after which none is heard late: else a worker whose calls were late,
and have ended, would be full for ever."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Full above ``full_above``, free again from ``free_below`` down."""

    full_above: float
    free_below: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker bears. The defaults, and what they stand for:

    ``loop_lag``    seconds that the event loop wakes up late. At two frames every call's audio waits; the
                    longest waits are then some times as long, and the bot's playback buffer is 400 ms.
    ``late_calls``  the share of calls with a frame that came more than ``late_after`` seconds late in the
                    last second. The network's own jitter makes some of them late on a quiet machine too,
                    and a stall of it all of them at once: it counts when it was so for most of
                    ``late_for`` seconds.
    ``busy``        the share of its time for which the event loop works. It fills no worker: above it, what
                    the callers say is read three frames at a time while nothing begins or ends in it, which
                    saves a tenth of the work (``docs/performance.md``).
    ``queue``       jobs that wait for each of the models' threads. A job takes some ten milliseconds to a
                    hundred, so with four in front of it a transcript comes up to half a second late.
    ``calls``       live calls; CALLBOT_MAX_CALLS.
    """

    calls: int = 100
    loop_lag: Limit = Limit(0.040, 0.010)
    late_calls: Limit = Limit(0.30, 0.10)
    late_after: float = 0.150
    late_for: float = 6.0
    queue: Limit = Limit(4.0, 1.0)
    busy: Limit = Limit(0.40, 0.25)
    window: float = 2.0


class _Measure:
    """The samples of the last ``window`` seconds, and whether they are ``beyond`` the limit."""

    def __init__(self, limit: Limit, window: float) -> None:
        self.beyond = False
        self.value = 0.0
        """The window's median."""
        self._limit = limit
        self._window = window
        self._samples: deque[tuple[float, float]] = deque()
        self._since = 0.0

    def sample(self, value: float, now: float) -> None:
        if not self._samples:
            self._since = now
        self._samples.append((now, value))
        while self._samples[0][0] <= now - self._window:
            self._samples.popleft()
        self.value = median(value for _, value in self._samples)
        if now - self._since < self._window * 0.9:  # too early to tell
            return
        if self.value > self._limit.full_above:
            self.beyond = True
        elif self.value <= self._limit.free_below:
            self.beyond = False


class Load:
    """The load of one worker. Times are the event loop's."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lag = _Measure(self.limits.loop_lag, self.limits.window)
        self._late = _Measure(self.limits.late_calls, self.limits.late_for)
        self._queue = _Measure(self.limits.queue, self.limits.window)
        self._busy = _Measure(self.limits.busy, self.limits.window)
        self._calls = 0
        self._late_calls = 0
        self._judged_at = 0.0
        """When it was last said how many calls are heard late."""

    def heard(self, late: float) -> None:
        """The latest frame of one call in the last second came ``late`` seconds after it could have."""
        self._calls += 1
        self._late_calls += late > self.limits.late_after

    @property
    def busy(self) -> bool:
        """There is so much to do that frames had better be read a few at a time."""
        return self._busy.beyond

    def tick(self, now: float, *, lag: float, queue: float = 0.0, busy: float = 0.0) -> None:
        """``lag``: how late the loop woke up for this, in seconds. ``queue``: jobs waiting per thread.
        ``busy``: the share of the time since the last tick for which the loop's thread worked."""
        self._lag.sample(lag, now)
        self._busy.sample(busy, now)
        self._queue.sample(queue, now)
        if self._calls or now - self._judged_at >= WITHOUT_CALLS:
            self._late.sample(self._late_calls / max(1, self._calls), now)
            self._calls = self._late_calls = 0
            self._judged_at = now

    def full(self, calls: int) -> str | None:
        """Why this worker should get no more calls, in a few words; None while it may."""
        if calls >= self.limits.calls:
            return f"a worker has its {self.limits.calls} calls"
        if self._lag.beyond:
            return f"the event loop is {self._lag.value * 1000:.0f} ms late"
        if self._late.beyond:
            return f"{self._late.value:.0%} of the calls are heard late"
        if self._queue.beyond:
            return f"{self._queue.value:.0f} jobs wait for each of the models' threads"
        return None
