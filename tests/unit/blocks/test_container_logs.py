"""The output of a container whose engine refuses it at first, in the midst of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.blocks.containers.container import Container

#: As Podman 4.3 sent it, without what the client had taken for the header of a frame.
REFUSAL = (
    b':"no such process","message":"failed to obtain logs for Container \'18e35f45bf\': read /proc/29502/cgroup:'
    b' no such process","response":500}\n'
)


class Ended:
    """A container that has ended."""

    name = "job"

    def __init__(self) -> None:
        self.attrs = {"State": {"Status": "exited", "ExitCode": 0}}
        self.asked: list[str] = []

    def reload(self) -> None: ...

    def logs(self, *, stdout: bool, **_: Any) -> Iterator[bytes]:
        name = "stdout" if stdout else "stderr"
        first = name not in self.asked
        self.asked.append(name)
        return iter([REFUSAL] if first and not stdout else [name.encode(), REFUSAL])


def test_what_was_refused_is_asked_for_again() -> None:
    ended = Ended()
    said = list(Container(None, "here", ended, None, remove=False).logs())
    assert sorted(ended.asked) == ["stderr", "stderr", "stdout"]
    # Only in place of the output: what a program itself says is not looked at.
    assert sorted(said) == sorted(
        [("stdout", b"stdout"), ("stdout", REFUSAL), ("stderr", b"stderr"), ("stderr", REFUSAL)]
    )
