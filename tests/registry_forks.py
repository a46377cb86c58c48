"""Works on a registry in children forked for the price of one import, and kills a child at a set step.

Each line on standard input is a JSON object: `home`, `database`, `work` (a list of a method's name and its arguments by
name, for each call), `kill_at` (the number of the step before which the child kills itself, or null) and `times`, how
many children do it at once. A step is all that reaches the disk or the database. The answer is a list: of each child
its `code` (negative: the signal that killed it), the `steps` it had come to, and what the calls `said`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vermilion.errors import ConflictError
from vermilion.world import models
from vermilion.world.home import Home
from vermilion.world.registry import Registry

WARM = (models,)


class Steps:
    """Counts what reaches disk and database, and ends the process before one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.count, self._kill_at = 0, kill_at

    def __call__(self, *_: Any) -> None:
        """Take a step."""
        self.count += 1
        if self.count == self._kill_at:
            tell({"code": -signal.SIGKILL, "steps": self.count, "said": []})
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Have every call that changes something take a step first."""
        for name in ("fsync", "rename", "unlink", "rmdir", "mkdir", "open"):
            setattr(os, name, self._stepping(getattr(os, name)))
        sa.event.listen(sa.engine.Engine, "commit", self)
        sa.event.listen(sa.engine.Engine, "before_cursor_execute", self._executing)

    def _executing(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            self()

    def _stepping(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*given: Any, **named: Any) -> Any:
            self()
            return call(*given, **named)

        return stepped


def tell(answer: Mapping[str, Any]) -> None:
    """Give the answer to the parent."""
    os.write(PIPE[1], (json.dumps(answer) + "\n").encode())


def child(request: Mapping[str, Any], me: int) -> None:
    """Do the work; never return."""
    steps = Steps(request["kill_at"])
    said: list[Any] = []
    code = 0
    try:
        with Registry.open(Home(Path(request["home"]), request["database"])) as registry:
            steps.watch()
            for name, given in request["work"]:
                said.append(WORK[name](registry, me, **given))
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 70
    tell({"code": code, "steps": steps.count, "said": said})
    os._exit(code)


def add(registry: Registry, me: int, name: str, folder: str) -> int:
    """Add a model."""
    return registry.add(name, Path(folder), by=f"p{me}").number


def promote(registry: Registry, me: int, name: str, reference: str) -> int:
    """Promote a version."""
    return registry.promote(name, reference, by=f"p{me}", why="").generation


def rollback(registry: Registry, me: int, name: str) -> int:
    """Roll back."""
    return registry.rollback(name, by=f"p{me}", why="").generation


def remove(registry: Registry, me: int, reference: str) -> int:
    """Remove a version."""
    return registry.remove(reference, by=f"p{me}", why="").number


def contend(registry: Registry, me: int, name: str, turns: int) -> int:
    """Promote what comes next of three versions, if nobody was faster; return how often that was so."""
    won = 0
    for _ in range(turns):
        now = registry.resolve(name).number
        try:
            registry.promote(name, f"{name}@{now % 3 + 1}", by=f"p{me}", why="", expected=f"{name}@{now}")
            won += 1
        except ConflictError:
            pass
    return won


WORK: dict[str, Callable[..., Any]] = {
    "add": add,
    "promote": promote,
    "rollback": rollback,
    "remove": remove,
    "contend": contend,
}
PIPE: list[int] = []


def attempt(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Fork as often as asked, wait for all, and tell how each ended."""
    PIPE[:] = os.pipe()
    children = []
    for me in range(request["times"]):
        if (pid := os.fork()) == 0:
            child(request, me)
        children.append(pid)
    os.close(PIPE[1])
    with os.fdopen(PIPE[0]) as told:
        answers = [json.loads(line) for line in told]
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert sorted(codes) == sorted(answer["code"] for answer in answers), (codes, answers)
    return answers


def main() -> None:
    """Serve requests until there are no more."""
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
