"""The processes of a service: a parent that holds the socket, and workers that it replaces when they die."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from multiprocessing import connection, parent_process

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from vermilion.errors import InputError, VermilionError
from vermilion.serve.app import App
from vermilion.serve.controller import Controller
from vermilion.serve.guard import check_exposure
from vermilion.serve.opening import open_worker
from vermilion.serve.retention import Retention
from vermilion.serve.service_metrics import FOLDER_VARIABLE, fresh_folder, worker_ended
from vermilion.serve.settings import ServeSettings
from vermilion.serve.snapshots import check_model
from vermilion.world.database import now
from vermilion.world.keys import Keys

logger = logging.getLogger("vermilion.serve")

# A worker's threads are counted by the service: those within linear algebra and the tokenizer would only wait for
# each other.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
LOOK_SECONDS = 0.1
# A worker that dies at its start is tried again after this, doubled each time.
RETRY_SECONDS, MOST_RETRY_SECONDS = 0.5, 15.0
# So long a worker finishes what it took once its parent is gone, and once it was told to end.
ORPHAN_SECONDS, GRACE_SECONDS = 1.0, 30
# So long a worker may take to come up when all are replaced, by SIGHUP.
START_SECONDS = 120
BACKLOG = 2048
LOG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "format": "%(asctime)s %(process)d %(levelname)s %(message)s",
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
        }
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}
    },
    "loggers": {
        "vermilion": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}


def serve(settings: ServeSettings, ready: Callable[[str], None]) -> int:
    """Serve until told to end by SIGTERM or SIGINT; return the exit code.

    Parameters
    ----------
    settings : ServeSettings
    ready : callable
        Told the address once the first worker answers.

    Raises
    ------
    VermilionError
        The model is not to be had, the address cannot be listened on, or it is open to others without a key.
    """
    check_model(settings)
    with Keys.open(settings.home) as keys:
        known = any(key.state(now()) == "active" for key in keys.all())
    warning = check_exposure(settings.host, has_keys=known, tls=False)
    if settings.keys and not known:
        warning = (
            "no key yet, so nobody is answered; make one: vermilion keys create --label NAME --scope classify"
        )
    config = _config(settings)
    if warning:
        logger.warning("%s", warning)
    with listen(settings.host, settings.port) as listening, ExitStack() as beside:
        folder = fresh_folder(settings.home.runtime, str(listening.getsockname()[1]))
        beside.callback(shutil.rmtree, folder, ignore_errors=True)
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"), **{FOLDER_VARIABLE: str(folder)})
        if settings.folder is None:
            controller = Controller(settings.home)
            controller.start()
            beside.callback(controller.stop)
        if settings.retain_days is not None:
            retention = Retention(settings.home.decisions, settings.retain_days)
            retention.start()
            beside.callback(retention.stop)
        ended = partial(worker_ended, folder)
        workers = Workers(config, [listening], ended, partial(ready, address(listening)))
        workers.run()
    return 1 if workers.failed else 0


def _config(settings: ServeSettings) -> Config:
    return Config(
        partial(worker, settings),
        factory=True,
        workers=settings.workers,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=LOG,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_worker_healthcheck=START_SECONDS,
        backlog=BACKLOG,
    )


def worker(settings: ServeSettings) -> App:
    """Return a worker's app; called in the worker, which ends with its parent."""
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        return open_worker(settings)
    except VermilionError as error:
        logger.error("%s", error)
        sys.exit(STARTUP_FAILURE)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; nobody is accepted until a worker listens.

    Raises
    ------
    InputError
        It is taken, or not this machine's.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(where)
    except OSError as error:
        raise InputError(
            "an address to listen on",
            f"{host} port {port}: {error.strerror}",
            "--host and --port",
            "end who listens there, or give another",
        ) from None
    found.set_inheritable(True)
    return found


def address(listening: socket.socket) -> str:
    """Return the URL of a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Workers(Multiprocess):
    """Uvicorn's supervisor, that looks more often, tells when all is ready, and does not give up on workers.

    Parameters
    ----------
    config : Config
    sockets : list of socket
    ended : callable
        Told the process id of each worker that has died.
    ready : callable
        Called when the first worker answers.

    Attributes
    ----------
    failed : bool
        No worker ever came up.
    """

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket],
        ended: Callable[[int], None],
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config, sockets)
        self._ended, self._ready = ended, ready
        self._seen_ready = self.failed = False
        self._deaths, self._again_at = 0, 0.0

    def run(self) -> None:
        """Keep the workers alive until told to end."""
        self.init_processes()
        while not self.should_exit.wait(LOOK_SECONDS):
            self.handle_signals()
            self.keep_subprocess_alive()
        self.terminate_all()
        self.join_all()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died; end where not even the first one came up."""
        for place, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if process.process.is_alive():
                self._note_ready(process)
            elif not self._seen_ready and process.exitcode == STARTUP_FAILURE:
                self.failed = True
                self.should_exit.set()
            elif time.monotonic() >= self._again_at:
                self._replace(place, process)

    def _note_ready(self, process: Process) -> None:
        if self._deaths == 0 and self._seen_ready:
            return
        if process.is_ready(timeout=1):
            self._deaths = 0
            if not self._seen_ready:
                self._seen_ready = True
                self._ready()

    def _replace(self, place: int, process: Process) -> None:
        pid, code = process.pid, process.exitcode
        process.join()
        if pid is not None:
            self._ended(pid)
        self._deaths += 1
        wait = min(RETRY_SECONDS * 2 ** (self._deaths - 2), MOST_RETRY_SECONDS) if self._deaths > 1 else 0.0
        self._again_at = time.monotonic() + wait
        logger.error("worker %s died (%s); another one takes its place", pid, _exit(code))
        self.processes[place] = Process(self.config, self.sockets)
        self.processes[place].start()


def _exit(code: int | None) -> str:
    names: Mapping[int, str] = {-one.value: one.name for one in signal.Signals}
    return names.get(code or 0, f"exit code {code}")
