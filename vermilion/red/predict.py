"""Label a file of any size with a model."""

from __future__ import annotations

from vermilion.red.progress import Progress
from vermilion.world.data import iter_texts
from vermilion.world.data_writer import RowWriter
from vermilion.world.predictor import Predictor
from vermilion.world.source import BadRows, Columns

BATCH = 4096


def predict_file(
    predictor: Predictor,
    source: str,
    target: str,
    columns: Columns,
    progress: Progress,
    skipped: BadRows | None = None,
) -> int:
    """Stream `source` through the model into `target`, whole or not at all; return the number of texts."""
    count = 0
    with RowWriter(target) as writer:
        for texts in iter_texts(source, columns, batch_size=BATCH, skipped=skipped):
            writer.write(list(predictor.rows(texts)))
            count += len(texts)
            progress.advance(len(texts))
    return count
