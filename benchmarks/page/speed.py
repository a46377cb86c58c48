"""Tables of speed and memory, of the growth of a run, and of parts that only some machines can measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.page.measured import Measured
from benchmarks.page.tables import markdown
from benchmarks.results import Row

Cells = dict[str, str]
SIMULATED = "simulated expert"


def speed(measured: Measured) -> str:
    """Return a section for each part that was measured."""
    parts = dict.fromkeys(row["condition"]["part"] for row in measured.speed)
    ordered = [*PARTS, *(part for part in parts if part not in PARTS)]
    return "\n\n".join(
        f"### {TITLES.get(part, part[:1].upper() + part[1:])}\n\n{PARTS.get(part, plain)(rows)}"
        for part in ordered
        if (rows := measured.part(part))
    )


def encoding(rows: Sequence[Row]) -> str:
    """Return texts a second of each encoder, at each length of text."""
    parts = []
    for row in rows:
        known, found = row["condition"], row["figures"]
        head = ["encoder", "texts a second", "times as long as `minilm`", "share of the machine's peak"]
        body = [
            [
                name,
                f"{rate:,.1f}",
                _number(found["times_as_long_as_ours"].get(name, {}).get("median"), ".2f"),
                _percent(found["share_of_peak"].get(name)),
            ]
            for name, rate in found["texts_a_second"].items()
        ]
        versions = ", ".join(f"{a} {b}" for each in found["versions"].values() for a, b in each.items())
        missing = "".join(f" {name} was not measured: {why}." for name, why in found["not_measured"].items())
        parts.append(
            f"{known['words']} words a text ({found['tokens_a_text']:.0f} tokens), {known['texts']:,} texts"
            f" ({known['static_texts']:,} for `static`), {known['threads']} threads; the machine's peak is"
            f" {found['peak_gflops']:.0f} GFLOPS (its product of two matrices of float32). {versions}.{missing}"
            f"\n\n{markdown(head, body)}"
        )
    return "\n\n".join(parts)


def fitting(rows: Sequence[Row]) -> str:
    """Return cold fits beside scikit-learn's, and warm ones beside cold ones."""
    head = ["labels x rows a label", "fit", "seconds", "beside it", "seconds", "times as long", "accuracy"]
    return markdown(head, (line for row in rows for line in (*_cold(row), *_warm(row))))


def _cold(row: Row) -> Iterator[list[str]]:
    """Yield our cold fit beside scikit-learn's, stopped at equal accuracy and as it comes."""
    size, cold = _size(row), row["figures"]["cold"]
    own, accuracy = _median(cold, "ours"), f"{cold['accuracy']:.4f}"
    equal = cold["scikit_learn_steps_to_equal_accuracy"]
    beside = f"scikit-learn, {equal} steps to equal accuracy" if equal else "scikit-learn: no equal accuracy"
    other, times = _median(cold, "scikit-learn"), _times(cold, "ours", "scikit-learn")
    yield [size, "cold", own, beside, other, times, accuracy]
    usual = cold["scikit_learn_tried"]["default"]
    times = f"{usual['seconds'] / cold['seconds']['ours']['median']:.1f}"
    both = f"{accuracy}, {usual['accuracy']:.4f}"
    yield [size, "cold", own, "scikit-learn, default", f"{usual['seconds']:.2f}", times, both]


def _warm(row: Row) -> Iterator[list[str]]:
    """Yield warm refits beside cold ones on the same rows."""
    kinds = {"warm": f"warm, {row['condition']['added']} rows more", "one_label_more": "warm, a label more"}
    for part, what in kinds.items():
        own = row["figures"][part]
        seconds = [_median(own, one) for one in ("warm", "cold")]
        accuracy = ", ".join(f"{own['accuracy'][one]:.4f}" for one in ("warm", "cold"))
        yield [_size(row), what, seconds[0], "cold", seconds[1], _times(own, "warm", "cold"), accuracy]


def _size(row: Row) -> str:
    return f"{row['condition']['labels']} x {row['condition']['a_label']}"


def search(rows: Sequence[Row]) -> str:
    """Return the parts of one round that are neither fitting nor asking."""
    return _table(
        rows,
        lambda known, found: {
            "texts": f"{known['texts']:,}",
            "labels": str(known["labels"]),
            "questions": f"{known['questions']:,}",
            **{f"{part}, s": f"{own['median']:.2f}" for part, own in found["seconds"].items()},
            "peak memory, MiB": _number(found["memory_mib"]["peak"], ",.0f"),
        },
    )


def predict(rows: Sequence[Row]) -> str:
    """Return what `vermilion predict` takes for a file."""
    return _table(
        rows,
        lambda known, found: {
            "rows": f"{known['rows']:,}",
            "labels": str(known["labels"]),
            "encoder": f"`{known['encoder']}`",
            "seconds": f"{found['seconds']:,.0f}",
            "rows a second": f"{found['rows_a_second']:,.0f}",
            "times as long as encoding alone": f"{found['times_as_long_as_encoding']:.2f}",
            "peak memory, MiB": f"{found['peak_mib']:,}",
        },
    )


def run(rows: Sequence[Row]) -> str:
    """Return the seconds of whole runs by part."""
    parts = ("encode", "fit", "expert", "rest", "around", "wall")
    told = (
        f"Questions went to a {SIMULATED}, which answers at once. `around` is what the run does not count itself:"
        " start, reading, writing. A run that finds vectors in the cache tells nothing of encoding."
    )
    table = _table(
        rows,
        lambda known, found: {
            "texts": f"{known['texts']:,}",
            "labels": str(known["labels"]),
            "encoder": f"`{known['encoder']}`",
            **{
                f"{part}, s": "cached"
                if part == "encode" and not known["fresh_vectors"]
                else f"{found['seconds'][part]:,.0f}"
                for part in parts
            },
            "peak memory, MiB": f"{found['peak_mib']:,}",
            "asked": f"{found['asked']:,}",
            f"agreement ({SIMULATED})": f"{found['agreement']:.3f}",
        },
    )
    return f"{told}\n\n{table}"


def growth(rows: Sequence[Row]) -> str:
    """Return the exponents of growth; 1 is linear."""
    parts = ["Seconds grow as size to this power (1 is linear, - is too quick to tell; simulated expert):"]
    for row in rows:
        names = {"texts": "growth_with_texts", "labels": "growth_with_labels"}
        head = ["growing", "sizes", "all but encoding", "fitting", "selecting, deciding", "start, files"]
        body = [
            [
                what,
                ", ".join(f"{size:,}" for size in row["condition"][what]),
                *(
                    _number(row["figures"][name].get(part), ".2f")
                    for part in ("besides", "fit", "rest", "around")
                ),
            ]
            for what, name in names.items()
        ]
        parts.append(markdown(head, body))
    return "\n\n".join(parts)


def plain(rows: Sequence[Row]) -> str:
    """Return rows as they are: what tells them apart, and every figure that is a number or a word."""
    return _table(rows, lambda known, found: _flat(known) | _flat(found))


def scale(rows: Sequence[Row]) -> str:
    """Return texts a second with Ray and without."""
    return _table(
        rows,
        lambda known, found: {
            "encoder": f"`{known['encoder']}`",
            "texts": f"{known['texts']:,}",
            "setup": known["setup"],
            "seconds to start": f"{found['start_seconds']:.1f}",
            "texts a second": f"{found['texts_a_second']:,.0f}",
            "texts a CPU second": f"{found['texts_a_cpu_second']:,.0f}",
            "load of the machine": f"{found['load']:.1f}",
        },
    )


def _table(rows: Sequence[Row], cells: Callable[[dict[str, Any], dict[str, Any]], Cells]) -> str:
    """Return a table whose columns are all that any row has."""
    written = [cells(row["condition"], row["figures"]) for row in rows]
    head = list(dict.fromkeys(name for each in written for name in each))
    return markdown(head, ([each.get(name, "-") for name in head] for each in written))


def _flat(values: Mapping[str, Any], start: str = "") -> Cells:
    """Write out numbers and words, those of inner mappings too; lists, and what every table says, are left out."""
    found: Cells = {}
    for name, value in values.items():
        match value:
            case _ if name in {"benchmark", "part", "commit", "memory_gib", "sha256"}:
                continue
            case dict():
                found |= _flat(value, f"{start}{name} ".replace("_", " "))
            case bool() | str():
                found[f"{start}{name}".replace("_", " ")] = str(value)
            case int() | float():
                found[f"{start}{name}".replace("_", " ")] = (
                    f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
                )
    return found


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _median(part: Mapping[str, Any], name: str) -> str:
    known = part["seconds"].get(name)
    return "-" if known is None else f"{known['median']:.2f}"


def _times(part: Mapping[str, Any], base: str, other: str) -> str:
    ratio = part[f"times_as_long_as_{base}"].get(other)
    return "-" if ratio is None else f"{ratio['median']:.1f}"


TITLES = {
    "encoding": "Encoding",
    "fitting": "Fitting",
    "search": "Selection and search, one round",
    "predict": "Prediction",
    "run": "Whole runs",
    "growth": "Growth",
}
PARTS: dict[str, Callable[[Sequence[Row]], str]] = {
    "encoding": encoding,
    "fitting": fitting,
    "search": search,
    "predict": predict,
    "run": run,
    "growth": growth,
}
