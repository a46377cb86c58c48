"""Changes of labels as they are written down: what can be read, what is refused, what is written for people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vermilion.errors import InputError
from vermilion.world.label_changes import (
    Changes,
    Merge,
    Named,
    NewLabel,
    Relabel,
    Rename,
    Split,
    read_changes,
    write_proposals,
)

EVERYTHING = """
add:
- name: parking
  meaning: use when a car stands somewhere
  examples: [p17, {text: "where can I park?"}, {labelled: l3}]
rename:
- {label: fee, to: charge, reason: customers say so}
merge:
- {labels: [late, lost], into: missing}
split:
- label: card
  into:
  - {name: card_lost, examples: [p1]}
  - {name: card_late, examples: [p2]}
relabel:
- {id: l9, to: fee}
- {pool: p9, to: fee}
remove: [spam, {label: junk}]
"""


def write(tmp_path: Path, text: str, name: str = "changes.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_every_kind_of_change(tmp_path: Path) -> None:
    path = write(tmp_path, EVERYTHING)

    assert read_changes(path) == Changes(
        str(path),
        (
            NewLabel(
                "parking",
                (Named("pool", "p17"), Named("text", "where can I park?"), Named("labelled", "l3")),
                "use when a car stands somewhere",
            ),
        ),
        (Rename("fee", "charge"),),
        (Merge(("late", "lost"), "missing"),),
        (
            Split(
                "card",
                (
                    NewLabel("card_lost", (Named("pool", "p1"),)),
                    NewLabel("card_late", (Named("pool", "p2"),)),
                ),
            ),
        ),
        (Relabel(Named("labelled", "l9"), "fee"), Relabel(Named("pool", "p9"), "fee")),
        ("spam", "junk"),
    )


def test_reads_json_as_another_program_leaves_it(tmp_path: Path) -> None:
    path = write(
        tmp_path, json.dumps({"add": [{"name": "parking", "examples": ["7", 12]}]}), "proposed_labels.json"
    )

    (label,) = read_changes(path).add
    assert label.examples == (Named("pool", "7"), Named("pool", "12"))


def test_examples_may_lie_in_a_file_beside(tmp_path: Path) -> None:
    write(tmp_path, "text\nwhere can I park?\nis parking free?\n", "parking.csv")
    path = write(tmp_path, "add:\n- {name: parking, file: parking.csv}\n")

    (label,) = read_changes(path).add
    assert [example.value for example in label.examples] == ["where can I park?", "is parking free?"]


def test_what_is_not_accepted_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, "remove:\n- {label: spam, accept: no}\n- {label: junk, accept: yes}\n")

    assert read_changes(path).remove == ("junk",)


def test_what_is_proposed_is_accepted_by_nobody_yet(tmp_path: Path) -> None:
    path = tmp_path / "label_proposals.yaml"
    write_proposals(
        path,
        "Proposals.",
        {
            "merge": [
                ({"labels": ["a: b", "no"], "into": "no"}, ["told apart 50 %", "text:\n- {label: x}\x1b"])
            ]
        },
    )

    with pytest.raises(InputError, match="none that is accepted"):
        read_changes(path)
    accepted = write(tmp_path, path.read_text(encoding="utf-8").replace("accept: no", "accept: yes"))
    assert read_changes(accepted).merge == (Merge(("a: b", "no"), "no"),)


def test_no_proposals_are_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "label_proposals.yaml"
    write_proposals(path, "Nothing to propose.", {})

    with pytest.raises(InputError, match="a change to carry out"):
        read_changes(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "a mapping"),
        ("ad: []\n", "'ad'"),
        ("add: parking\n", "changes.yaml, add: expected a list"),
        ("add:\n- parking\n", "add 1: expected an entry"),
        ("add:\n- {name: parking}\n", "examples of 'parking'"),
        ("add:\n- {examples: [p1]}\n", "add 1, name: expected a label, found nothing"),
        ("add:\n- {name: parking, examples: p1}\n", "a list of ids"),
        ("add:\n- {name: parking, examples: [{id: p1}]}\n", "one of pool, labelled, text"),
        ("add:\n- {name: parking, file: none.csv}\n", "none.csv"),
        ("rename:\n- {label: fee}\n", "rename 1, to"),
        ("rename:\n- {label: fee, to: charge, why: x}\n", "'why'"),
        ("merge:\n- {labels: [fee], into: fee}\n", "two names or more"),
        ("split:\n- {label: fee, into: [fee_a]}\n", "two parts or more"),
        ("relabel:\n- {to: fee}\n", "one of pool, labelled, text"),
        ("relabel:\n- {id: a, pool: b, to: fee}\n", "one of pool, labelled, text"),
        ("remove:\n- {label: fee, accept: maybe}\n", "yes or no"),
        ("{}\n", "none that is accepted"),
        ("remove: [&a fee]\n", "anchor"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_changes(write(tmp_path, text))

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
