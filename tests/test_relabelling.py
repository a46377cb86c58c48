"""Changes of labels on what a run knows: what stays, what is opened again, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vermilion.errors import InputError
from vermilion.red.carried import Carried, Known
from vermilion.red.relabelling import Ended, Pool, Relabelled, relabel
from vermilion.types import Label, Texts
from vermilion.world.label_changes import Changes, Merge, Named, NewLabel, Relabel, Rename, Split

NAMES = ("card", "fee", "late", "spam")
LABELLED = Texts(
    tuple("01234"),
    tuple(f"{name} text" for name in (*NAMES, "other card")),
    tuple((name,) for name in (*NAMES, "card")),
)
KNOWN = (
    Known("asked card", "card", "fee", (), 0),
    Known("asked fee", "fee", "fee", (), 0),
    Known("none", None, "late", ("card", "late"), 3),
    Known("spam answer", "spam", "spam", (), 0),
)
ENDED = Ended(
    (Label("card", "a card", "bank"), Label("fee", "a fee"), Label("late"), Label("spam")),
    LABELLED,
    KNOWN,
    "d.jsonl",
)
POOL = Pool(
    {
        "p0": "asked card",
        "p1": "asked fee",
        "p2": "none",
        "p3": "spam answer",
        "p4": "auto card",
        "0": "row zero",
    },
    {"auto card": "card", "asked card": "card", "asked fee": "fee", "spam answer": "spam"},
)


def change(**parts: Any) -> Relabelled:
    return relabel(ENDED, Changes("changes.yaml", **parts), POOL)


def names(changed: Relabelled) -> list[str]:
    return [label.name for label in changed.labels]


def given(changed: Relabelled) -> dict[str, str]:
    labelled = changed.labelled
    return {text: row[0] for text, row in zip(labelled.texts, labelled.labels or (), strict=True)}


def known(changed: Relabelled) -> dict[str, Known]:
    return {one.text: one for one in changed.carried.known}


def test_a_renamed_label_keeps_all_it_had() -> None:
    changed = change(rename=(Rename("card", "bank card"),))

    assert changed.labels[0] == Label("bank card", "a card", "bank")
    assert given(changed)["card text"] == "bank card"
    assert known(changed)["asked card"] == Known("asked card", "bank card", "fee", (), 0)
    assert known(changed)["none"] == Known("none", None, "late", ("bank card", "late"), 3)
    assert (changed.carried.changed, changed.carried.added, changed.carried.loose) == ((), (), ())
    assert changed.names == {"card": "bank card"}


def test_merged_labels_are_ruled_out_only_where_all_of_them_were() -> None:
    one = known(change(merge=(Merge(("card", "fee"), "card"),)))
    both = known(change(merge=(Merge(("card", "late"), "card"),)))

    assert one["none"].ruled_out == ("late",)
    assert both["none"].ruled_out == ("card",)
    assert one["asked fee"].answer == one["asked card"].answer == "card"


def test_a_split_label_leaves_its_answers_to_the_parts_alone() -> None:
    parts = (NewLabel("card lost", (Named("labelled", "0"),)), NewLabel("card late", (Named("pool", "p4"),)))
    changed = change(split=(Split("card", parts),))

    assert names(changed) == ["card lost", "card late", "fee", "late", "spam"]
    assert given(changed) == {
        **{"card text": "card lost", "auto card": "card late"},
        **{f"{name} text": name for name in NAMES[1:]},
    }
    assert known(changed)["asked card"] == Known("asked card", None, "fee", ("fee", "late", "spam"), 0)
    assert known(changed)["none"].ruled_out == ("card lost", "card late", "late")
    assert set(changed.carried.changed) == {"card lost", "card late"}
    assert changed.carried.added == ()
    assert set(changed.carried.loose) == {"asked card", "auto card"}


def test_an_added_label_gives_texts_left_to_people_another_chance() -> None:
    changed = change(
        add=(NewLabel("parking", (Named("pool", "p4"), Named("text", "where to park?")), "of cars"),)
    )

    assert changed.labels[-1] == Label("parking", "of cars")
    assert known(changed)["none"] == Known("none", None, "late", ("card", "late"), 0)
    assert changed.carried.added == changed.carried.changed == ("parking",)
    labelled = changed.labelled
    assert labelled.ids[-2:] == ("p4", "new")
    assert labelled.texts[-2:] == ("auto card", "where to park?")


def test_a_removed_label_takes_its_texts_and_answers_with_it() -> None:
    changed = change(remove=("spam",))

    assert "spam" not in names(changed)
    assert "spam text" not in given(changed)
    assert "spam answer" not in known(changed)
    assert changed.carried.loose == ("spam answer",)


def test_a_relabelled_text_is_a_labelled_one_and_its_labels_are_looked_at_again() -> None:
    changed = change(relabel=(Relabel(Named("labelled", "0"), "fee"), Relabel(Named("pool", "p0"), "fee")))

    assert given(changed)["card text"] == given(changed)["asked card"] == "fee"
    assert "asked card" not in known(changed)
    assert set(changed.carried.changed) == {"card", "fee"}


def test_a_relabelled_text_may_have_the_name_of_before() -> None:
    changed = change(rename=(Rename("fee", "charge"),), relabel=(Relabel(Named("labelled", "0"), "fee"),))

    assert given(changed)["card text"] == "charge"


def test_names_may_be_exchanged() -> None:
    changed = change(rename=(Rename("card", "fee"), Rename("fee", "card")))

    assert given(changed)["card text"] == "fee"
    assert given(changed)["fee text"] == "card"
    assert changed.names == {"card": "fee", "fee": "card"}


def test_a_part_may_keep_the_name() -> None:
    parts = (NewLabel("card", (Named("labelled", "0"),)), NewLabel("bank", (Named("labelled", "4"),)))
    changed = change(split=(Split("card", parts),))

    assert changed.labels[0].meaning == ""  # the whole's meaning is not the part's
    assert known(changed)["asked card"].ruled_out == ("fee", "late", "spam")


def test_both_forms_survive_the_store() -> None:
    changed = change(rename=(Rename("card", "bank card"),), remove=("spam",))

    again = Relabelled.from_json(changed.as_json())
    assert (again.labels, again.carried, again.names) == (changed.labels, changed.carried, changed.names)
    assert (again.labelled.ids, again.labelled.texts) == (changed.labelled.ids, changed.labelled.texts)
    ended = Ended.from_json(ENDED.as_json())
    assert (ended.labels, ended.known, ended.decisions) == (ENDED.labels, ENDED.known, ENDED.decisions)


def test_a_second_change_builds_on_the_first() -> None:
    first = change(merge=(Merge(("card", "fee"), "money"),))
    ended = replace(ENDED, labels=first.labels, labelled=first.labelled, known=first.carried.known)

    second = relabel(ended, Changes("more.yaml", rename=(Rename("money", "payment"),)), POOL)

    assert known(second)["asked fee"].answer == "payment"


PART = NewLabel("a", (Named("labelled", "0"),))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"rename": (Rename("crad", "x"),)}, "did you mean 'card'"),
        ({"rename": (Rename("card", "fee"),)}, "a name that no label has, found 'fee'"),
        ({"rename": (Rename("card", "Fee"),)}, "differ by more than case"),
        ({"rename": (Rename("card", "none of these"),)}, "none of these"),
        ({"rename": (Rename("card", "x"), Rename("card", "y"))}, "'card' in several"),
        ({"merge": (Merge(("card", "fee"), "fee"), Merge(("fee", "late"), "card"))}, "'fee' in several"),
        ({"merge": (Merge(("card", "fee"), "late"),)}, "a name that no label has, found 'late'"),
        ({"merge": (Merge(("card", "fees"), "card"),)}, "did you mean 'fee'"),
        ({"split": (Split("card", (PART, PART)),)}, "a name that no label has, found 'a'"),
        ({"add": (NewLabel("fee", PART.examples),)}, "a name that no label has, found 'fee'"),
        ({"add": (NewLabel("x", (Named("pool", "p99"),)),)}, "one of the pool's ids, found 'p99'"),
        ({"add": (NewLabel("x", (Named("pool", "1"),)),)}, "write {labelled: 1}"),
        ({"relabel": (Relabel(Named("labelled", "p4"), "fee"),)}, "write {pool: p4}"),
        ({"relabel": (Relabel(Named("labelled", "0"), "fees"),)}, "did you mean 'fee'"),
        ({"relabel": (Relabel(Named("labelled", "1"), "card"),)}, "none for 'fee'"),
        (
            {"relabel": (Relabel(Named("labelled", "0"), "fee"), Relabel(Named("labelled", "0"), "late"))},
            "one label",
        ),
        ({"remove": ("card", "fee", "late")}, "two labels or more"),
        ({"remove": ("spam",), "relabel": (Relabel(Named("labelled", "0"), "spam"),)}, "no label afterwards"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        change(**parts)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_carried_survives_the_store() -> None:
    carried = Carried(KNOWN, ("a",), ("a", "b"), ("text",))

    assert Carried.from_json(carried.as_json()) == carried
