"""A PostgreSQL server for the tests that need a real one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa


def postgres_user() -> dict[str, str | int]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            return {"user": pwd.getpwnam(name).pw_uid, "group": pwd.getpwnam(name).pw_gid}
        except KeyError:
            continue
    pytest.skip("PostgreSQL needs a user other than root, and there is none")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Start a PostgreSQL of our own in a temporary folder; give its URL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")) or [
        Path(path) for path in [shutil.which("pg_ctl")] if path
    ]
    if not found:
        pytest.skip("no PostgreSQL server is installed (apt-get install postgresql)")
    who = postgres_user()
    folder = Path(tempfile.mkdtemp(prefix="vermilion-pg-", dir="/tmp"))
    if who:
        shutil.chown(folder, int(who["user"]), int(who["group"]))

    def call(program: str, *arguments: str) -> None:
        command = [str(found[-1].parent / program), "-D", str(folder / "data"), *arguments]
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd="/", **who)  # type: ignore[call-overload]

    try:
        call("initdb", "--auth=trust", "--username=vermilion", "--no-sync")
        call("pg_ctl", "-w", "-o", f"-k {folder} -c listen_addresses= -c fsync=off", "start")
        try:
            yield f"postgresql://vermilion@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give where an empty store may be: a path, or the URL of an emptied database."""
    if request.param == "sqlite":
        yield str(tmp_path / "run.sqlite")
        return
    url = request.getfixturevalue("postgres")
    yield url
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
