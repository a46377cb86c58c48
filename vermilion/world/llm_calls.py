"""Many requests at once, each within its reservation: retries, repairs, and one thread that does the waiting."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vermilion.errors import CapReachedError, ExpertError
from vermilion.types import Meter, Spend
from vermilion.world.llm_endpoint import Answer, Endpoint, LostError, Prompt, UnbilledError
from vermilion.world.prompts import LONGEST_ECHO, UnusableAnswerError, repair_messages
from vermilion.world.throttle import Throttle, retry_after

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from tenacity import RetryCallState

# So many jobs in a row without an answer, each tried several times, tell that there is none to be had.
MOST_BARREN = 8
# What a repair adds to a prompt: the answer's beginning, at most four bytes a character, and the complaint.
REPAIR_TOKENS = 4 * LONGEST_ECHO + 1_200


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard to try. `sleep` and `clock` (seconds since 1970) are arguments so that tests need not wait.

    Attributes
    ----------
    concurrency : int
        Most requests at once.
    timeout : float
        Seconds for one request.
    attempts : int
        Tries of one request.
    """

    concurrency: int = 64
    timeout: float = 60.0
    attempts: int = 6
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to ask. `read` turns the message into the answer, or raises UnusableAnswerError."""

    key: str
    prompt: Prompt
    read: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job: its value, or an error; and what it cost."""

    job: Job
    value: str | None
    spend: Spend
    error: str = ""


def job_worst(endpoint: Endpoint, prompt: Prompt) -> Spend:
    """Return what is set aside for one job: a call, with an answer and its repair."""
    return Spend(1) + endpoint.worst(prompt) + _repair_worst(endpoint, prompt)


def _repair_worst(endpoint: Endpoint, prompt: Prompt) -> Spend:
    return endpoint.worst(prompt) + endpoint.spend(REPAIR_TOKENS, 0)


class Account:
    """What one job may spend, and has. Every request is covered by a reservation before it is sent.

    The first reservation covers an answer and its repair. A request that was lost may have been billed and uses
    up its part; one more beyond that needs a reservation of its own.
    """

    def __init__(self, endpoint: Endpoint, job: Job, meter: Meter) -> None:
        self._endpoint, self._job, self._meter = endpoint, job, meter
        self._tickets: list[tuple[int, Spend]] = []
        self._covered = 0

    @property
    def begun(self) -> bool:
        """Whether anything was ever set aside."""
        return bool(self._tickets)

    def cover(self) -> None:
        """See to it that one more request is set aside. Raises CapReachedError when it does not fit."""
        if not self._covered:
            first = not self._tickets
            worst = (job_worst if first else _repair_worst)(self._endpoint, self._job.prompt)
            self._tickets.append((self._meter.reserve(self._job.key, worst), Spend()))
            self._covered = 2 if first else 1
        self._covered -= 1

    def uncharged(self) -> None:
        """Take back a request that cost nothing."""
        self._covered += 1

    def charge(self, spend: Spend) -> None:
        """Book what a request cost."""
        ticket, before = self._tickets[-1]
        self._tickets[-1] = (ticket, before + spend)

    def settle(self, answered: bool) -> Spend:
        """Put what was spent in the place of all reservations; return it."""
        total = Spend()
        for place, (ticket, spent) in enumerate(self._tickets):
            spend = Spend(int(answered and place == 0)) + spent
            self._meter.settle(ticket, spend)
            total += spend
        return total


class Calls:
    """A batch of jobs, under way in one asyncio loop in one thread; outcomes come through a queue.

    Parameters
    ----------
    endpoint : Endpoint
    pace : Pace
    jobs : iterable of Job
        With keys that differ; taken one by one, in the thread.
    meter : Meter
        Used from the thread.
    """

    def __init__(self, endpoint: Endpoint, pace: Pace, jobs: Iterable[Job], meter: Meter) -> None:
        self._endpoint, self._pace, self._jobs, self._meter = endpoint, pace, jobs, meter
        self._throttle = Throttle(most=pace.concurrency)
        self._outcomes: queue.SimpleQueue[Outcome | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[None]] | None = None
        self._stopped = False
        self._barren = 0
        self._begun = 0
        self._settled = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="vermilion-expert", daemon=True)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield outcomes as they come. Closing the iterator cancels what is under way, and settles it.

        Raises
        ------
        CapReachedError, ExpertError
            After what was under way has been yielded.
        """
        self._thread.start()
        try:
            while (outcome := self._outcomes.get()) is not None:
                yield outcome
        except KeyboardInterrupt:
            # What has come back was paid for: hand it on before giving way.
            self._stop()
            while (outcome := self._outcomes.get()) is not None:
                yield outcome
            raise
        finally:
            self._stop()
        if self._failure is not None:
            raise self._failure

    def _stop(self) -> None:
        self._stopped = True  # for a thread that has not got to its loop yet
        if self._running is not None and self._thread.is_alive():
            loop, task = self._running
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # handed to the thread that waits for outcomes
            self._failure = self._failure or error
        finally:
            self._outcomes.put(None)

    async def _all(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running = (asyncio.get_running_loop(), task)
        if self._stopped:
            return
        waiting = iter(self._jobs)
        async with self._endpoint.client() as client:
            await asyncio.gather(*(self._work(client, waiting) for _ in range(self._pace.concurrency)))

    async def _work(self, client: AsyncOpenAI, waiting: Iterator[Job]) -> None:
        for job in waiting:
            outcome = await self._do(client, job)
            if outcome is not None:
                self._outcomes.put(outcome)
            if self._failure is not None:
                return

    async def _do(self, client: AsyncOpenAI, job: Job) -> Outcome | None:
        """Return what became of a job; None where it was not begun."""
        account = Account(self._endpoint, job, self._meter)
        value, error, answered, spent = None, "", False, Spend()
        try:
            value = await self._answer(client, job, account)
            answered = True
        except UnusableAnswerError as failed:
            error = str(failed)
        except (UnbilledError, LostError) as failed:
            error = str(failed)
            self._note_barren(error)
        except (CapReachedError, ExpertError) as final:
            self._failure = self._failure or final
            error = str(final)
        finally:
            spent = account.settle(answered)
            self._begun -= account.begun
            self._settled.set()
            self._settled = asyncio.Event()
        return Outcome(job, value, spent, error) if account.begun else None

    def _note_barren(self, error: str) -> None:
        self._barren += 1
        if self._barren >= MOST_BARREN and self._failure is None:
            self._failure = ExpertError(
                f"{self._endpoint.where}: {self._barren} questions in a row had no answer, the last because:"
                f" {error}; nothing is lost, the same command goes on"
            )

    async def _answer(self, client: AsyncOpenAI, job: Job, account: Account) -> str | None:
        """Ask, and once more where the answer cannot be used."""
        answer = await self._request(client, job.prompt, account)
        try:
            return job.read(answer.content)
        except UnusableAnswerError as error:
            again = repair_messages(job.prompt.messages, answer.content, str(error))
        prompt = Prompt(again, job.prompt.format, job.prompt.completion_tokens)
        return job.read((await self._request(client, prompt, account)).content)

    async def _request(self, client: AsyncOpenAI, prompt: Prompt, account: Account) -> Answer:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._pace.attempts),
            wait=self._wait,
            retry=retry_if_exception(self._again),
            sleep=self._pace.sleep,
            reraise=True,
        )
        return await retrying(self._once, client, prompt, account)

    async def _once(self, client: AsyncOpenAI, prompt: Prompt, account: Account) -> Answer:
        while True:
            async with self._throttle.slot() as epoch:
                if self._failure is not None and not account.begun:
                    raise self._failure
                if self._covers(account):
                    return await self._send(client, prompt, account, epoch)
                settled = self._settled
            await settled.wait()

    def _covers(self, account: Account) -> bool:
        """Set a request aside; False where a first one has to wait for what others will give back.

        The worst case is set aside, many times what a call takes: while calls are under way, a cap that looks
        reached mostly is not. Who has begun never waits here, so there is always one that ends.
        """
        begun = account.begun
        try:
            account.cover()
        except CapReachedError:
            if begun or not self._begun:
                raise
            return False
        self._begun += not begun
        return True

    async def _send(self, client: AsyncOpenAI, prompt: Prompt, account: Account, epoch: int) -> Answer:
        try:
            answer = await self._endpoint.send(client, prompt)
        except (UnbilledError, LostError, ExpertError, asyncio.CancelledError) as error:
            if isinstance(error, (LostError, asyncio.CancelledError)):
                account.charge(self._endpoint.worst(prompt))
            else:
                account.uncharged()
            if getattr(error, "overload", False):
                self._throttle.overloaded(epoch)
            raise
        self._throttle.succeeded()
        self._barren = 0
        account.charge(self._endpoint.spend(answer.prompt_tokens, answer.completion_tokens))
        return answer

    def _again(self, error: BaseException) -> bool:
        """Return whether to try again: not once the endpoint is known to refuse us."""
        return getattr(error, "again", False) and not isinstance(self._failure, ExpertError)

    def _wait(self, state: RetryCallState) -> float:
        """Return the seconds that the endpoint asked for, else a random time under 1, 2, 4 ... 30."""
        from tenacity import wait_random_exponential

        error = state.outcome.exception() if state.outcome else None
        asked = retry_after(getattr(error, "wait", None), self._pace.clock())
        return wait_random_exponential(multiplier=1, max=30)(state) if asked is None else asked
