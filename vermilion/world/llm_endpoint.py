"""One request to an OpenAI-compatible chat endpoint, and what its failure means: for money and for what is next."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from vermilion.errors import ExpertError, InputError
from vermilion.types import Spend
from vermilion.world.prompts import Message

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"
# What local servers get in place of a key; the library insists on one.
NO_KEY = "none"
# Names of the HTTP library's errors that come before a request has left: nobody can have billed it.
UNSENT = {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol", "InvalidURL"}
# What a chat template adds to a message, and to a request, at most.
TOKENS_A_MESSAGE, TOKENS_A_REQUEST = 16, 64
REASONING = re.compile(r"(^|/)(o\d|gpt-5|gpt-oss|deepseek-r|qwq)")
THINKING_TOKENS = 4_096


class UnbilledError(Exception):
    """A request failed and cost nothing. Never leaves `world`.

    Attributes
    ----------
    again : bool
        Whether the same request may succeed later.
    overload : bool
        Whether the endpoint has too much to do.
    wait : str or None
        The Retry-After header.
    """

    def __init__(self, reason: str, *, again: bool, overload: bool = False, wait: str | None = None) -> None:
        super().__init__(reason)
        self.again, self.overload, self.wait = again, overload, wait


class LostError(Exception):
    """A request was sent and its answer lost: it may have been billed. Never leaves `world`."""

    def __init__(self, reason: str, *, overload: bool = False) -> None:
        super().__init__(reason)
        self.again, self.overload, self.wait = True, overload, None


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one request asks.

    Attributes
    ----------
    messages : sequence of messages
    format : mapping
        The `response_format`.
    completion_tokens : int
        The most that the answer may take, thinking not counted.
    """

    messages: Sequence[Message]
    format: dict[str, Any]
    completion_tokens: int

    def prompt_tokens(self) -> int:
        """Return a number of tokens that no request of this prompt takes: no tokenizer makes more than one a byte."""
        written = sum(len(message["content"].encode()) + TOKENS_A_MESSAGE for message in self.messages)
        return written + len(json.dumps(self.format)) + TOKENS_A_REQUEST


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the message's text, and the tokens that were billed."""

    content: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class Dialect:
    """Which parameters the endpoint takes; learned from its refusals, and remembered."""

    schema: bool = True
    temperature: bool = True
    limit: str = "max_completion_tokens"

    def parameters(self, prompt: Prompt, tokens: int) -> dict[str, Any]:
        """Return the request's parameters besides model and messages."""
        parameters: dict[str, Any] = {self.limit: tokens}
        if self.schema:
            parameters["response_format"] = prompt.format
        if self.temperature:
            parameters["temperature"] = 0
        return parameters

    def adapt(self, complaint: str, sent: dict[str, Any]) -> bool:
        """Give up a parameter that the endpoint complains of; return whether to ask once more without it.

        `sent` is what the refused request had: of several under way, all but the first find it given up already.
        """
        complaint = complaint.lower()
        if "temperature" in complaint and "temperature" in sent:
            self.temperature = False
            return True
        if "max_completion_tokens" in complaint and "max_completion_tokens" in sent:
            self.limit = "max_tokens"  # some limit must stay, or no cap can be kept
            return True
        if re.search("response_format|json_schema|schema|structured|grammar", complaint):
            given_up = "response_format" in sent
            self.schema = self.schema and not given_up
            return given_up
        return False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is, and on which terms. The key shows in no repr.

    Attributes
    ----------
    prices : (float, float) or None
        US dollars per million prompt and completion tokens.
    timeout : float
        Seconds for one request.
    thinking : int
        Tokens that a reasoning model may think before it answers.
    """

    model: str
    url: str
    key: str = field(repr=False)
    prices: tuple[float, float] | None
    timeout: float
    thinking: int
    dialect: Dialect = field(default_factory=Dialect, repr=False, compare=False)

    @classmethod
    def named(
        cls,
        model: str,
        base_url: str | None,
        prices: tuple[float, float] | None,
        timeout: float,
        thinking: int | None,
    ) -> Self:
        """Return the endpoint of an address (else OPENAI_BASE_URL, else OpenAI) with the environment's key.

        Raises
        ------
        InputError
            The address is none, or OpenAI itself is meant and there is no key.
        ExpertError
            VERMILION_OFFLINE is set and the address is another machine's.
        """
        url = _checked_url(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if thinking is None:
            thinking = THINKING_TOKENS if REASONING.search(model) else 0
        endpoint = cls(model, url, key or NO_KEY, prices, timeout, thinking)
        if os.environ.get("VERMILION_OFFLINE", "0") not in {"", "0"} and not endpoint.is_here:
            raise ExpertError(
                f"{endpoint.where}: VERMILION_OFFLINE is set, so only a server on this machine may be asked;"
                " unset it, or give --base-url http://127.0.0.1:..."
            )
        if url == OPENAI_URL and not key:
            raise InputError(
                "a key in the environment",
                "none",
                "OPENAI_API_KEY",
                "set it, or name a local server by --base-url",
            )
        return endpoint

    @property
    def is_here(self) -> bool:
        """Whether the address is this machine's own."""
        host = urlsplit(self.url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def where(self) -> str:
        """Model and server for messages, without a user's name and password."""
        address = urlsplit(self.url)
        return f"openai:{self.model} at {address.scheme}://{address.netloc.rpartition('@')[2]}"

    def client(self) -> AsyncOpenAI:
        """Return a client for one asyncio loop. Retries are ours: the library's would not be paid for."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        # A proxy from the environment has no business with this machine's own servers.
        http = DefaultAsyncHttpxClient(trust_env=not self.is_here)
        return AsyncOpenAI(
            api_key=self.key, base_url=self.url, max_retries=0, timeout=self.timeout, http_client=http
        )

    def spend(self, prompt_tokens: int, completion_tokens: int) -> Spend:
        """Return what tokens cost; not a call by itself."""
        of_prompt, of_completion = self.prices or (0.0, 0.0)
        cost = (prompt_tokens * of_prompt + completion_tokens * of_completion) / 1e6
        return Spend(0, prompt_tokens, completion_tokens, cost)

    def worst(self, prompt: Prompt) -> Spend:
        """Return the most that one request can cost."""
        return self.spend(prompt.prompt_tokens(), prompt.completion_tokens + self.thinking)

    def clean(self, problem: object) -> str:
        """Return one line of bounded length without the key, which some servers repeat."""
        line = " ".join(str(problem).split())
        return (line.replace(self.key, "***") if self.key != NO_KEY else line)[:300]

    async def send(self, client: AsyncOpenAI, prompt: Prompt) -> Answer:
        """Send one request; where the endpoint refuses a parameter, once more without it.

        Raises
        ------
        UnbilledError, LostError
            There is no answer; whether it may have cost something.
        ExpertError
            The endpoint refuses this key or model, and will each time.
        """
        from openai import APIConnectionError, APIStatusError

        for _ in range(4):  # each of the three parameters may be refused once
            parameters = self.dialect.parameters(prompt, prompt.completion_tokens + self.thinking)
            sent: Any = list(prompt.messages)
            try:
                raw = await client.chat.completions.with_raw_response.create(
                    model=self.model, messages=sent, **parameters
                )
            except APIStatusError as error:
                if error.status_code in {400, 422} and self.dialect.adapt(str(error), parameters):
                    continue
                raise self._refusal(error) from None
            except APIConnectionError as error:
                # Not chained: the library's exception holds the request with its headers.
                raise self._broken(error) from None
            return self._answer(raw.content, prompt)
        raise UnbilledError("the endpoint refuses the request's parameters", again=False)

    def _refusal(self, error: APIStatusError) -> Exception:
        status, told = error.status_code, self.clean(error)
        if status in {401, 403, 404} or error.code == "insufficient_quota":
            return ExpertError(f"{self.where}: {told}; check the model's name, OPENAI_API_KEY and --base-url")
        again = status in {408, 409, 429} or status >= 500
        if status in {408, 504}:  # the server itself gave up waiting for the model, which may have run
            return LostError(told, overload=True)
        wait = error.response.headers.get("retry-after")
        return UnbilledError(told, again=again, overload=status in {429, 503}, wait=wait)

    def _broken(self, error: Exception) -> Exception:
        cause = error.__cause__
        told = self.clean(f"{error} ({type(cause).__name__})" if cause else error)
        if type(cause).__name__ in UNSENT:
            return UnbilledError(told, again=True)
        return LostError(told, overload="Timeout" in type(cause).__name__)

    def _answer(self, content: bytes, prompt: Prompt) -> Answer:
        """Read a 200. Where it tells no usage, the most that it can have been is taken."""
        try:
            body = _Completion.model_validate_json(content)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            raise LostError(f"expected a chat completion as JSON, found {problem['msg']}") from None
        worst = self.worst(prompt)
        usage = body.usage or _Usage(
            prompt_tokens=worst.prompt_tokens, completion_tokens=worst.completion_tokens
        )
        text = body.choices[0].message.content if body.choices else None
        return Answer(text or "", usage.prompt_tokens, usage.completion_tokens)


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)
    except ValueError:
        whole = False
    if not whole:
        # The address itself stays untold: it may carry a password.
        raise InputError(
            "an address as in http://127.0.0.1:8000/v1", "something else", "--base-url", "mend it"
        )
    return url


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message


class _Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int


class _Completion(BaseModel):
    """What is read of a chat completion. The library itself does not check its shape."""

    choices: list[_Choice]
    usage: _Usage | None = None
