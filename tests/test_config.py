"""Settings: their bounds, and which of them make a run the same run."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from vermilion.config import HEAD_CHOICES, UNCERTAINTY_CHOICES, Caps, RunSettings, Worth
from vermilion.errors import InputError
from vermilion.learn.heads import HEADS


def refused(**given: Any) -> str:
    with pytest.raises(InputError) as caught:
        RunSettings(**given).checked()
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_the_defaults_are_good() -> None:
    settings = RunSettings()
    assert settings.checked() is settings


def test_a_task_is_told_by_the_data_but_for_several_labels() -> None:
    plain = RunSettings().identity()
    assert RunSettings(task="binary").identity() == plain
    assert RunSettings(task="multi-label").identity() == plain | {"task": "multi-label"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("head", "svm"),
        ("ask", "guess"),
        ("uncertainty", "entropi"),
        ("subset_size", 1),
        ("rounds", 0),
        ("rounds", 2.5),
        ("rounds", True),
        ("seed", -1),
        ("expert_error", -0.01),
        ("expert_error", 1.01),
        ("expert_error", float("nan")),
        ("target", 95),
        ("target", "high"),
        ("confidence", 0.4),
        ("confidence", 1.0),
        ("candidates", 0),
        ("candidates", "all"),
    ],
)
def test_what_is_out_of_bounds_is_named_with_its_option(name: str, value: Any) -> None:
    line = refused(**{name: value})
    assert line.startswith(f"--{name.replace('_', '-')}: expected ")
    assert f"found {value!r};" in line or f"found {value};" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_calls", -1),
        ("max_calls", 1.5),
        ("max_tokens", -1),
        ("max_cost", -0.01),
        ("max_cost", float("nan")),
    ],
)
def test_caps_are_numbers_from_zero(name: str, value: Any) -> None:
    assert refused(caps=Caps(**{name: value})).startswith(f"--{name.replace('_', '-')}: expected ")


@pytest.mark.parametrize(
    "given",
    [
        {"subset_size": 2},
        {"rounds": 1},
        {"candidates": 1},
        {"target": 0},
        {"target": 1.0},
        {"expert_error": 1},
        {"confidence": 0.5},
        {"confidence": 0.999},
        {"caps": Caps(0, 0, 0.0)},
        *({"head": head} for head in HEAD_CHOICES),
        *({"uncertainty": measure} for measure in UNCERTAINTY_CHOICES),
    ],
)
def test_the_bounds_themselves_are_allowed(given: dict[str, Any]) -> None:
    RunSettings(**given).checked()


def test_every_head_can_be_chosen() -> None:
    assert set(HEAD_CHOICES) == {"auto", *HEADS}


def test_what_may_change_when_a_run_goes_on_is_not_its_identity() -> None:
    plain = RunSettings().identity()
    changed = replace(
        RunSettings(),
        caps=Caps(10, 10, 1.0),
        rounds=3,
        target=0.9,
        base_url="http://127.0.0.1:1",
        trust="off",
        second_expert="openai:other",
        worth=Worth(0.2),
    )
    assert changed.identity() == plain == json.loads(json.dumps(plain))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder", "static"),
        ("head", "flat"),
        ("subset_size", 5),
        ("umap", True),
        ("expert", "human"),
        ("expert_error", 0.1),
        ("ask", "validate"),
        ("candidates", 5),
        ("uncertainty", "entropy"),
        ("names", False),
        ("pool", False),
        # An audit's bounds are made for one confidence; a run cannot have another afterwards.
        ("confidence", 0.9),
        ("seed", 1),
    ],
)
def test_every_other_setting_is(name: str, value: Any) -> None:
    assert RunSettings(**{name: value}).identity() != RunSettings().identity()
    free = {"task", "caps", "rounds", "target", "base_url", "trust", "second_expert", "worth"}
    assert {field.name for field in fields(RunSettings)} == {*RunSettings().identity(), *free}
