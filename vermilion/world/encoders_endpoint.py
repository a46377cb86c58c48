"""Vectors from an OpenAI-compatible embeddings endpoint. What comes back is checked before it is used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
from pydantic import BaseModel, ValidationError

from vermilion.errors import InputError, ModelError
from vermilion.types import FloatArray
from vermilion.world.vectors import unit_rows
from vermilion.world.weights import digest_of

if TYPE_CHECKING:
    from tenacity import RetryCallState

OPENAI_URL = "https://api.openai.com/v1"
# What local servers get in place of a key; the library insists on one.
NO_KEY = "none"
LONGEST_WAIT = 120.0


class EndpointEncoder:
    """An embedding model behind an OpenAI-compatible endpoint.

    One text is sent when the encoder is made, to learn the dimension and so that a wrong key, name or address
    shows before the work starts. Only a text's first 24,000 characters are ever sent.

    Parameters
    ----------
    model : str
        The model's name at the endpoint.
    base_url : str, optional
        By default OPENAI_BASE_URL, then OpenAI itself. Part of the digest: servers of one model may differ.
    batch : int
        Texts in one request.
    attempts : int
        Tries of one request. Status 408, 409, 429 and 5xx, a timeout and a broken connection are tried again,
        after Retry-After where the server sends it and it is at most two minutes.

    Attributes
    ----------
    tokens : int
        Billed so far, as the endpoint tells; 0 where it does not.

    Raises
    ------
    InputError
        There is no key. A server named by its address may do without.
    ModelError
        The endpoint refuses, stays out of reach, or its answer is no set of vectors for the texts sent.
    """

    max_characters = 24_000

    def __init__(
        self, model: str, *, base_url: str | None = None, batch: int = 128, attempts: int = 6
    ) -> None:
        from openai import OpenAI

        url = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL
        address = urlsplit(url)
        self._key = _key(needed=url == OPENAI_URL)
        self._client = OpenAI(api_key=self._key, base_url=url, max_retries=0, timeout=60.0)
        self._model, self._batch, self._attempts = model, batch, attempts
        host = address.netloc.rpartition("@")[2]  # without a user's name and password
        self._where = f"openai:{model} at {address.scheme}://{host}"
        self.name = f"openai:{model}"
        self.tokens = 0
        self.dimension = 0
        self.dimension = self._request(["dimension"]).shape[1]
        place = [address.scheme, host, address.path.rstrip("/")]
        self.digest = digest_of(self.name, place, self.dimension, ["unit", self.max_characters, 1])

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return float32 unit rows, shape (len(texts), dimension)."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), self._batch):
            # Endpoints refuse an empty text; a space has the same meaning.
            batch = [text[: self.max_characters] or " " for text in texts[start : start + self._batch]]
            vectors[start : start + len(batch)] = self._request(batch)
        return vectors

    def _request(self, batch: list[str]) -> FloatArray:
        from openai import OpenAIError
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        send = self._client.embeddings.with_raw_response.create
        calls = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=_wait,
            retry=retry_if_exception(_passing),
            reraise=True,
        )
        try:
            answer = calls(send, model=self._model, input=batch, encoding_format="float")
            found = _Answer.model_validate_json(answer.content)
        except OpenAIError as error:
            # Not chained: the library's exception holds the request with its headers.
            raise ModelError(self._clean(f"no answer ({error})")) from None
        except ValidationError as error:
            raise ModelError(self._clean(f"expected embeddings as JSON, found {_first(error)}")) from None
        self.tokens += found.usage.prompt_tokens if found.usage else 0
        return self._checked(found.data, len(batch))

    def _checked(self, items: Sequence[_Item], count: int) -> FloatArray:
        """Return the answer's rows in the order of the texts, or say what is wrong with them."""
        rows = {item.index: item.embedding for item in items}
        if len(items) != count or sorted(rows) != list(range(count)):
            raise ModelError(self._clean(f"expected {count} vectors, one a text, found {len(items)}"))
        widths = {len(row) for row in rows.values()}
        expected = self.dimension or max(widths)
        if widths != {expected} or not expected:
            found = ", ".join(map(str, sorted(widths)))
            raise ModelError(
                self._clean(f"expected vectors of {expected or 'some'} dimensions, found {found}")
            )
        with np.errstate(over="ignore"):  # a number beyond float32 becomes infinite, and is told below
            vectors = np.array([rows[index] for index in range(count)], dtype=np.float32)
        if not np.isfinite(vectors).all() or not vectors.any(axis=1).all():
            raise ModelError(self._clean("expected finite vectors other than 0, found NaN, infinity or 0"))
        return unit_rows(vectors)

    def _clean(self, problem: str) -> str:
        """Return one line of bounded length without the key, which some servers repeat."""
        line = " ".join(problem.split())
        if self._key != NO_KEY:
            line = line.replace(self._key, "***")
        return f"{self._where}: {line[:300]}; check the model's name, OPENAI_API_KEY and --base-url"


class _Item(BaseModel):
    index: int
    embedding: list[float]


class _Usage(BaseModel):
    prompt_tokens: int = 0


class _Answer(BaseModel):
    """What is read of an embeddings answer. The library itself does not check its shape."""

    data: list[_Item]
    usage: _Usage | None = None


def _first(error: ValidationError) -> str:
    problem = error.errors(include_input=False)[0]
    return f"{problem['msg']} at '{'.'.join(map(str, problem['loc']))}'"


def _key(needed: bool) -> str:
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if needed and not key:
        raise InputError(
            "a key in the environment",
            "none",
            "OPENAI_API_KEY",
            "set it, or name a local server by --base-url",
        )
    return key or NO_KEY


def _passing(error: BaseException) -> bool:
    """Return whether the same request may succeed later, within the longest wait."""
    from openai import APIConnectionError, APIStatusError

    if isinstance(error, APIStatusError):
        passing = error.status_code in {408, 409, 429} or error.status_code >= 500
        return passing and (_retry_after(error) or 0.0) <= LONGEST_WAIT
    return isinstance(error, APIConnectionError)


def _wait(state: RetryCallState) -> float:
    """Return the seconds to wait before the next attempt: the server's wish, else 1, 2, 4 ... at most 30."""
    asked = _retry_after(state.outcome.exception() if state.outcome else None)
    return min(2.0 ** (state.attempt_number - 1), 30.0) if asked is None else asked


def _retry_after(error: BaseException | None) -> float | None:
    """Return Retry-After in seconds, which may be given as a number or as a date (RFC 9110, 10.2.3)."""
    value = getattr(getattr(error, "response", None), "headers", {}).get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except ValueError:
            return None
    return max(0.0, seconds) if np.isfinite(seconds) else None
