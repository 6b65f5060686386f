"""Events that do not come in time.

Without ``after`` all that counts are the times of the matching events, in order; the beginning stands for as many of
them as the threshold asks for. There have to be ``threshold`` of them in every window ``(t - within, t]``: a lack
begins ``within`` after a time when the ``threshold``-th that follows it is later than that. It ends with the first
event that makes so many in a window again.

With ``after``, each arming event at ``a`` asks for ``threshold`` events in ``(a, a + within]``.

Nothing is judged before the clock has passed the deadline: until then a late event still counts by its own time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from .conditions import Absence
from .remembering import MEMORY, Fired, Happened, Memory, Resolved
from .seen import Seen


def begin(condition: Absence, at: int) -> Memory:
    """What is remembered at first, when it begins to be watched at a time."""
    if condition.after:
        return {"arms": [], "times": [], "from": None, "firing": None, "over": None}
    return {"times": [at] * condition.threshold, "from": at, "firing": None}


def feed(condition: Absence, memory: Memory, event: Seen) -> list[Happened]:
    """Take in one event; it may resolve, and never fires."""
    if condition.after:
        return _feed_armed(condition, memory, event)
    if not condition.counts(event) or event.at < memory["from"]:
        return []
    times: list[int] = memory["times"]
    _insert(condition, times, event.at)
    if len(times) > condition.threshold + MEMORY:
        del times[: len(times) - condition.threshold - MEMORY]
        memory["from"] = times[0]
    return _resolve(condition, memory, (event.id,))


def judge(condition: Absence, memory: Memory, clock: int) -> list[Happened]:
    """Decide all that the clock, up to which every event is known, has passed."""
    if condition.after:
        return _judge_armed(condition, memory, clock)
    found: list[Happened] = []
    while memory["firing"] is None:
        due = deadline(condition, memory)
        if due is None or due > clock:
            break
        memory["firing"] = due
        _forget(memory, due - condition.within + 1)
        found += [Fired(due), *_resolve(condition, memory, ())]
    if memory["firing"] is None:
        times = memory["times"]
        known = bisect_right(times, clock)
        if known > condition.threshold:
            _forget(memory, times[known - condition.threshold])
    return found


def deadline(condition: Absence, memory: Memory) -> int | None:
    """When the clock has something to decide."""
    if condition.after:
        return memory["arms"][0][0] + condition.within if memory["arms"] else None
    if memory["firing"] is not None:
        return None
    times, threshold = memory["times"], condition.threshold
    for place, time in enumerate(times):
        following = place + threshold
        if following >= len(times) or times[following] > time + condition.within:
            return int(time + condition.within)
    return None


def _insert(condition: Absence, times: list[int], time: int) -> None:
    """Put a time in; of threshold 1, one between two others that are close enough together tells nothing."""
    insort(times, time)
    if condition.threshold > 1:
        return
    place = bisect_left(times, time)
    for middle in (place + 1, place, place - 1):
        if 0 < middle < len(times) - 1 and times[middle + 1] - times[middle - 1] <= condition.within:
            del times[middle]


def _resolve(condition: Absence, memory: Memory, causes: tuple[str, ...]) -> list[Happened]:
    if memory["firing"] is None:
        return []
    times, size = memory["times"], condition.threshold
    for start in range(len(times) - size + 1):
        last = times[start + size - 1]
        if last < times[start] + condition.within:
            memory["firing"] = None
            _forget(memory, times[start])
            return [Resolved(last, causes)]
    return []


def _forget(memory: Memory, before: int) -> None:
    """Forget the times before one; events of then tell nothing more."""
    times = memory["times"]
    del times[: bisect_left(times, before)]
    memory["from"] = max(memory["from"], before)


def _feed_armed(condition: Absence, memory: Memory, event: Seen) -> list[Happened]:
    found: list[Happened] = []
    # By the same name and time an event may both arm and meet: never itself, since only later ones do.
    if condition.counts(event):
        found += _met(condition, memory, event)
    if condition.arms(event):
        _arm(condition, memory, event)
    return found


def _met(condition: Absence, memory: Memory, event: Seen) -> list[Happened]:
    times = memory["times"]
    insort(times, event.at)
    memory["arms"] = [arm for arm in memory["arms"] if not _is_met(condition, memory, arm[0])]
    found = _resolve_armed(condition, memory, (event.id,))
    surplus = len(times) - condition.threshold - MEMORY
    if surplus > 0:
        memory["from"] = max(times[surplus - 1], memory["from"] or times[surplus - 1])
        del times[:surplus]
    return found


def _arm(condition: Absence, memory: Memory, event: Seen) -> None:
    arms, forgotten = memory["arms"], memory["from"]
    if forgotten is not None and event.at < forgotten:
        return  # what it asks for may have come, and been forgotten
    known = any(time == event.at for time, _ in arms)
    if not known and len(arms) < MEMORY and not _is_met(condition, memory, event.at):
        insort(arms, [event.at, event.id])


def _is_met(condition: Absence, memory: Memory, armed: int) -> bool:
    times = memory["times"]
    return bisect_right(times, armed + condition.within) - bisect_right(times, armed) >= condition.threshold


def _judge_armed(condition: Absence, memory: Memory, clock: int) -> list[Happened]:
    found: list[Happened] = []
    arms = memory["arms"]
    while arms and arms[0][0] + condition.within <= clock:
        armed, cause = arms.pop(0)
        due, over = armed + condition.within, memory["over"]
        # While it fires, and for what fell due before that was over, it does not fire anew.
        if memory["firing"] is not None or (over is not None and due < over):
            continue
        memory["firing"] = [armed, cause]
        found += [Fired(due, (cause,)), *_resolve_armed(condition, memory, ())]
    return found


def _resolve_armed(condition: Absence, memory: Memory, causes: tuple[str, ...]) -> list[Happened]:
    if memory["firing"] is None:
        return []
    times = memory["times"]
    place = bisect_right(times, memory["firing"][0]) + condition.threshold - 1
    if place >= len(times):
        return []
    over = times[place]
    memory["firing"] = None
    memory["over"] = over if memory["over"] is None else max(over, memory["over"])
    return [Resolved(over, causes)]
