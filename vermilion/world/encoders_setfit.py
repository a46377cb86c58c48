"""SetFit: a sentence-transformers model fine-tuned on pairs of a few labelled texts (extra `setfit`)."""

from __future__ import annotations

import io
import logging
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np

from vermilion.errors import InputError, MissingExtraError, ModelError
from vermilion.types import IntArray
from vermilion.world.encoders import SentenceTransformerEncoder, quiet
from vermilion.world.encoders_joined import split_spec
from vermilion.world.weights import digest_of

# Pairs made of each text, twice: of like and of unlike label. SetFit's paper (Tunstall et al., 2022) has 20, which on
# a processor without a graphics card takes hours for many labels.
ITERATIONS, BATCH = 5, 16


class SetFitTuner:
    """Fine-tunes a copy of one model again and again, each time from the same start.

    Parameters
    ----------
    spec : str
        `st:NAME`, the name or folder of a sentence-transformers model.
    seed : int

    Raises
    ------
    InputError
        The name has another form.
    MissingExtraError
        SetFit is not installed.
    """

    def __init__(self, spec: str, *, seed: int = 0) -> None:
        kind, _, model = spec.partition(":")
        if kind != "st" or not model or len(split_spec(spec)) > 1:
            raise InputError("a sentence-transformers model", repr(spec), "--setfit", "give st:NAME")
        try:
            import setfit  # noqa: F401
        except ImportError:
            raise MissingExtraError("setfit", "setfit") from None
        self.name = f"setfit:{model}"
        self.digest = digest_of(self.name, SentenceTransformerEncoder(model).digest, ITERATIONS, BATCH, seed)
        self._model, self._seed = model, seed

    def fit(self, texts: Sequence[str], labels: IntArray, head: Any) -> Callable[[Sequence[str]], IntArray]:
        """Fine-tune on texts and their labels, shape (n,); return what predicts labels of texts.

        `head` is an unfitted classifier by scikit-learn's rules, which learns from the tuned vectors at the end.

        Raises
        ------
        ModelError
            The training fails, as where the memory does not suffice.
        """
        from datasets import Dataset
        from sentence_transformers import SentenceTransformer
        from setfit import SetFitModel, Trainer, TrainingArguments

        try:
            with _silent(), tempfile.TemporaryDirectory() as folder:
                body = SentenceTransformer(self._model, model_kwargs={"use_safetensors": True})
                model = SetFitModel(body, head)
                arguments = TrainingArguments(
                    output_dir=folder, batch_size=BATCH, num_epochs=1, num_iterations=ITERATIONS, seed=self._seed,
                    report_to="none", save_strategy="no", show_progress_bar=False,
                )  # fmt: skip
                data = Dataset.from_dict({"text": list(texts), "label": labels.tolist()})
                Trainer(model=model, args=arguments, train_dataset=data).train()
        # torch, transformers and datasets raise what they like.
        except Exception as error:
            reason = textwrap.shorten(str(error), 200, placeholder=" ...")
            raise ModelError(f"{self.name}: cannot be fine-tuned ({reason})") from error

        def predict(texts: Sequence[str]) -> IntArray:
            found: IntArray = np.asarray(model.predict(list(texts), as_numpy=True, show_progress_bar=False))
            return found

        return predict


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the training's log lines from stdout, which belongs to results, and its warnings and bars from stderr."""
    logger = logging.getLogger("setfit")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            quiet(),
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
