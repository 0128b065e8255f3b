"""What the bucket sensor remembers between ticks."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shs_pipeline.ingest.changes import UNKNOWN_FOLDER

_FIRST_RETRY, _LAST_RETRY = 30.0, 1800.0
# A store that is not Amazon's may announce a file a moment before its listing shows it.
_LINGER_SECONDS = 60.0


@dataclass
class Memory:
    """What the sensor remembers between looks, in its cursor.

    Attributes:
        not_before: before this the whole bucket is not listed again, seconds since 1970.
        tries: by folder, or `marts`: the state that was requested, how often, and when to request it again.
        whole_at: when the whole bucket is listed at the latest, where a queue tells of arrivals.
        batch: the last arrivals whose folders are in `dirty`.
        dirty: folders that arrivals named or that differ from the books, those first that were not
            looked at for longest; each with the moment until when it is looked at whatever it holds.
        references: version of each reference table when the whole bucket was last listed.
        written_at: when the cursor was written.
    """

    not_before: float = 0.0
    tries: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    whole_at: float = 0.0
    batch: str = ""
    dirty: dict[str, float] = field(default_factory=dict)
    references: dict[str, int] = field(default_factory=dict)
    written_at: float = field(default=0.0, compare=False)

    @classmethod
    def load(cls, cursor: str | None, now: float | None = None) -> "Memory":
        """Read a cursor, also one of an earlier version; an unreadable one is as good as none.

        Where the clock has stepped back, nothing waits for a moment that it named before.
        """
        memory = cls._read(cursor)
        moment = time.time() if now is None else now
        if moment < memory.written_at:
            memory.not_before = memory.whole_at = 0.0
            memory.tries = {key: (state, count, 0.0) for key, (state, count, _) in memory.tries.items()}
            memory.dirty = {key: min(until, moment + _LINGER_SECONDS) for key, until in memory.dirty.items()}
        return memory

    @classmethod
    def _read(cls, cursor: str | None) -> "Memory":
        try:
            stored = json.loads(cursor or "{}")
            tries = {
                key: (str(state), int(count), float(at))
                for key, (state, count, at) in stored["tries"].items()
            }
            return cls(
                float(stored["not_before"]),
                tries,
                float(stored.get("whole_at", 0.0)),
                str(stored.get("batch", "")),
                {str(key): float(until) for key, until in stored.get("dirty", {}).items()},
                {str(name): int(version) for name, version in stored.get("references", {}).items()},
                float(stored.get("written_at", 0.0)),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def dump(self) -> str:
        """Return the cursor."""
        return json.dumps(vars(self) | {"written_at": time.time()})

    def forget_all_but(self, keys: set[str]) -> None:
        """Forget the requests of what is up to date."""
        self.tries = {key: known for key, known in self.tries.items() if key in keys}

    def is_due(self, key: str, state: str, now: float) -> bool:
        """Whether what changed may be requested: at once when new, later after a failed run."""
        known = self.tries.get(key)
        return known is None or known[0] != state or now >= known[2]

    def note(self, key: str, state: str, now: float) -> None:
        """Remember a request, and when to repeat it should nothing have come of it by then."""
        known = self.tries.get(key)
        count = known[1] + 1 if known and known[0] == state else 1
        delay = min(_FIRST_RETRY * 2 ** (count - 1), _LAST_RETRY)
        self.tries[key] = (state, count, now + delay)

    def name(self, keys: Collection[str], now: float) -> None:
        """Remember folders that arrivals named."""
        for key in sorted(keys):
            # For unknown places the whole bucket is listed: not more often than needed.
            self.dirty[key] = 0.0 if key == UNKNOWN_FOLDER else now + _LINGER_SECONDS

    def settle(self, looked_at: Collection[str] | None, changed: Collection[str], now: float) -> None:
        """Forget the folders that equal the books, after a look at them; the others go to the end.

        Args:
            looked_at: folders that were looked at; None for all.
            changed: those of them that differ from the books.
        """
        left = {
            key: until for key, until in self.dirty.items() if looked_at is not None and key not in looked_at
        }
        seen = {
            key: until
            for key, until in self.dirty.items()
            if key not in left and (key in changed or now < until)
        }
        self.dirty = left | seen | {key: seen.get(key, 0.0) for key in changed}

    def listed(self, references: Mapping[str, int], now: float, pause: float, at_latest: float) -> None:
        """Remember that the whole bucket was listed.

        Args:
            pause, at_latest: seconds until when it may, and until when it must be listed again.
        """
        self.not_before = now + pause
        self.whole_at = now + max(pause, at_latest)
        self.references = dict(references)
