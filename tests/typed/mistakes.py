"""Wrong calls. Each line that ends in ``# wrong`` has to be refused, and no other."""

from __future__ import annotations

from orchestrator import flow, task


@task
def bare(x: int, name: str = "a") -> str:
    return name * x


@flow
def plain(day: str) -> int:
    return len(day)


def mistakes() -> None:
    bare("text")  # wrong
    bare(1, nonsense=2)  # wrong
    bare()  # wrong
    plain(5)  # wrong
    plain("a", "b")  # wrong
    number: int = bare(1)  # wrong
    text: str = plain("a")  # wrong
    future: int = bare.submit(1)  # wrong
    state: str = plain("a", return_state=True)  # wrong
    if bare(1, return_state=True).is_completed:  # wrong
        print(number, text, future, state)
