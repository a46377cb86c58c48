"""The benchmarks' page: its goals are judged rightly, its tables and plots tell what the results hold."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.page import speed, tables
from benchmarks.page.command import page, sections
from benchmarks.page.goals import Goal, State, goals
from benchmarks.page.measured import Measured, contests
from benchmarks.page.plots import apart, plot
from benchmarks.results import Results

MACHINE = {"processor": "A Processor", "cores": 2, "python": "3.11.7", "numpy": "2.4.6", "commit": "abc123+"}
NOTES = "<!-- a comment -->\n\n## By hand\n\nA hand wrote this.\n\n## What falls short\n\n- The roof leaks.\n"
RIVAL = "small-text: BreakingTies"


def row(condition: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    return {"condition": condition, "figures": figures, "machine": MACHINE}


def ran(
    contestant: str,
    agreement: list[float],
    *,
    seed: int = 0,
    name: str = "banking77",
    error: float = 0.05,
    accuracy: float | None = 0.91,
    tokens: float = 100.0,
    asked: list[int] | None = None,
    **figures: Any,
) -> dict[str, Any]:
    """Make a row of the benchmark of cost: 100 questions from each point to the next."""
    asked = asked or [100 * place for place in range(len(agreement))]
    condition = {
        "benchmark": "cost",
        "set": name,
        "a_label": 5,
        "error": error,
        "seed": seed,
        "most_pool": None,
        "share": 0.15,
        "rounds": 10,
        "contestant": contestant,
    }
    curve = {
        "asked": asked,
        "agreement": agreement,
        "test_accuracy": [None] * (len(asked) - 1) + [accuracy],
        "prompt_tokens": [tokens * count for count in asked],
        "completion_tokens": [0.0] * len(asked),
    }
    return row(condition, {"curve": curve, "finished": True, "seconds": 3.0, **figures})


def speed_row(part: str, figures: dict[str, Any], **condition: Any) -> dict[str, Any]:
    return row({"set": "wordnet_hypernym", "part": part, "seed": 0, **condition}, figures)


def whole_run(loop: float = 20.0, peak: int = 1500) -> dict[str, Any]:
    seconds = {"encode": 100.0, "fit": 15.0, "expert": 2.0, "rest": 3.0, "around": 2.0}
    seconds |= {"wall": 122.0, "besides": 22.0, "loop": loop}
    figures = {"seconds": seconds, "peak_mib": peak, "asked": 15_000, "agreement": 0.6}
    return speed_row("run", figures, texts=100_000, labels=970, encoder="minilm", fresh_vectors=True)


def warm(times: float) -> dict[str, Any]:
    def part(base: str, other: str, ratio: float) -> dict[str, Any]:
        return {
            "seconds": {base: {"median": 2.0}, other: {"median": 2.0 * ratio}},
            f"times_as_long_as_{base}": {other: {"median": ratio}},
            "accuracy": {base: 0.5, other: 0.5},
        }

    tried = {"default": {"accuracy": 0.5, "seconds": 9.0, "steps": 3}}
    cold = {"accuracy": 0.5, "scikit_learn_tried": tried, "scikit_learn_steps_to_equal_accuracy": 20}
    figures = {
        "cold": part("ours", "scikit-learn", 3.0) | cold,
        "warm": part("warm", "cold", times),
        "one_label_more": part("warm", "cold", 4.0),
    }
    return speed_row("fitting", figures, labels=970, a_label=30, added=500)


def judged(found: list[Goal], *words: str) -> Goal:
    """Return the one goal whose text has all these words."""
    (goal,) = [goal for goal in found if all(word in goal.text for word in words)]
    return goal


def test_without_results_every_section_says_so_and_how_to_measure() -> None:
    written = page(Measured(), NOTES)
    assert {goal.state for goal in goals(Measured())} == {State.UNKNOWN}
    for name in ("cost", "ablation", "speed", "scale", "worst"):
        assert f"Not measured yet:\n\n```sh\npython -m benchmarks {name} DATA_FOLDER" in written
    assert "Not reached" not in written


def test_fewest_questions_are_compared_over_the_seeds_that_both_ran_with() -> None:
    ours = [ran("Vermilion", [0.8, 0.92, 0.96]), ran("Vermilion", [0.5, 0.6, 0.7], seed=1)]
    goal = judged(
        goals(Measured(cost=[*ours, ran(RIVAL, [0.8, 0.85, 0.96])])), "banking77", "0.95 with fewer"
    )
    assert goal.state == State.REACHED
    assert goal.figure == "simulated expert: fewest in 1 of 1 condition"


def test_a_contestant_with_fewer_questions_is_named() -> None:
    rows = [ran("Vermilion", [0.8, 0.9, 0.96]), ran("random", [0.8, 1.0])]
    goal = judged(goals(Measured(cost=rows)), "banking77", "0.90 with fewer")
    assert goal.state == State.MISSED
    assert "100 against 50 of random (banking77, 5 a label, 5 % wrong)" in goal.figure


def test_a_level_that_nobody_reaches_is_not_a_goal_reached() -> None:
    rows = [ran("Vermilion", [0.8, 0.91]), ran(RIVAL, [0.8, 0.85])]
    found = goals(Measured(cost=rows))
    assert judged(found, "banking77", "0.90 with fewer").state == State.REACHED
    goal = judged(found, "banking77", "0.95 with fewer")
    assert (goal.state, goal.figure) == (State.MISSED, "simulated expert: nobody reached it in 1 condition")
    assert judged(found, "banking77", "half").state == State.MISSED
    assert judged(found, "clinc150", "half").state == State.UNKNOWN


@pytest.mark.parametrize(
    ("theirs", "state"),
    [
        ([0.8, 0.85, 0.95], State.REACHED),
        ([0.8, 0.96, 0.97], State.MISSED),
        ([0.8, 0.85, 0.86], State.REACHED),
    ],
)
def test_half_of_the_best_peers_questions(theirs: list[float], state: State) -> None:
    # Self-training is no peer: it asks nothing.
    rows = [ran("Vermilion", [0.8, 0.95]), ran(RIVAL, theirs), ran("self-training", [0.97])]
    assert judged(goals(Measured(cost=rows)), "banking77", "half").state == state


def test_tokens_and_test_accuracy() -> None:
    every = ran("every text", [0.95], asked=[1000], accuracy=None, tokens=500.0)
    short = ran("every text, no examples", [0.95], asked=[1000], accuracy=None, tokens=100.0)
    rows = [ran("Vermilion", [0.8, 0.9]), ran("Vermilion", [0.8, 0.9], seed=1, accuracy=0.87), every, short]
    found = goals(Measured(cost=rows))
    assert judged(found, "tokens", '"every text"').state == State.REACHED
    assert "1/10 of them" in judged(found, "tokens", "no examples").figure
    assert judged(found, "tokens", "no examples").state == State.MISSED
    accuracy = judged(found, "banking77: test accuracy")
    assert (accuracy.state, accuracy.figure) == (State.MISSED, "simulated expert: 0.890 (5 % wrong)")


def test_goals_of_speed() -> None:
    growth = speed_row(
        "growth",
        {"growth_with_texts": {"besides": 1.3}, "growth_with_labels": {"besides": 0.9}},
        texts=[25_000, 100_000],
        labels=[250, 970],
    )
    found = goals(Measured(speed=[whole_run(), warm(12.0), growth]))
    assert judged(found, "1/4 of the encoding").state == State.REACHED
    assert judged(found, "2 GiB").state == State.REACHED
    assert judged(found, "1.5 GiB").state == State.UNKNOWN
    assert judged(found, "warm refit").state == State.REACHED
    assert judged(found, "number of texts").state == State.MISSED
    assert judged(found, "number of labels").state == State.REACHED
    worse = goals(Measured(speed=[whole_run(26.0, 2100), warm(12.0), warm(9.0)]))
    for words in ("1/4 of the encoding", "2 GiB", "warm refit"):
        assert judged(worse, words).state == State.MISSED


def test_a_smaller_run_does_not_stand_for_the_whole_one() -> None:
    small = whole_run()
    small["condition"]["texts"] = 1000
    assert judged(goals(Measured(speed=[small])), "2 GiB").state == State.UNKNOWN


def test_the_page_tells_of_the_expert_the_machine_and_what_is_missed() -> None:
    rows = [ran("Vermilion", [0.8, 0.9], seed=seed) for seed in (0, 3)] + [ran(RIVAL, [0.8, 0.94])]
    written = page(Measured(cost=rows, speed=[whole_run(), warm(2.0)]), NOTES)
    parts = sections(written)
    assert "A Processor, 2 cores" in parts["Machine, versions, seeds"]
    assert "| 0, 3 |" in parts["Machine, versions, seeds"]
    assert "abc123+" in parts["Machine, versions, seeds"]
    assert "- Not reached: a warm refit" in parts["What falls short"]
    assert parts["What falls short"].endswith("- The roof leaks.")
    assert parts["By hand"] == "A hand wrote this."
    assert "a comment" not in written
    # A table with agreement in its head stands below words, or has a head, that name the simulated expert.
    for table in re.finditer(r"([^\n]*)\n\n(\|[^\n]*agreement[^\n]*)", written):
        assert "simulated expert" in table[0].lower()


def test_contestants_are_in_order_and_unfinished_ones_are_said_so() -> None:
    rows = [
        ran("random", [0.8, 0.85]),
        ran("Vermilion", [0.8, 0.96]),
        ran(RIVAL, [0.8, 0.92], finished=False),
    ]
    (contest,) = contests(rows)
    written = tables.contestants(contest).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in written] == [
        "**Vermilion**",
        f"{RIVAL} (1 of 1 did not finish)",
        "random",
    ]
    assert written[2].count("not reached") == 2


def test_overview_compares_with_the_best_peer_over_the_seeds_of_both() -> None:
    rows = [
        ran("Vermilion", [0.8, 0.9, 0.96]),
        ran("Vermilion", [0.8, 0.85, 0.86], seed=1, accuracy=0.5),
        ran(RIVAL, [0.8, 1.0], accuracy=0.93),
        ran("scikit-activeml: margin", [0.8, 0.8], accuracy=0.8),
        ran("random", [0.99]),
    ]
    written = tables.overview(contests(rows)).splitlines()[2:]
    assert written == ["| banking77 | 5 | 5 % | 100 | 50 | 183 | 75 | 0.9600 | 1.0000 | 0.9100 | 0.9300 |"]


def test_ablation_comes_in_order_of_its_cost() -> None:
    rows = [
        ran(name, [0.8, end + 0.01 * seed], seed=seed, base=base)
        for seed in (0, 1)
        for name, end, base in (
            ("ask: validate", 0.90, "default"),
            ("default", 0.95, "default"),
            ("umap: True", 0.80, "head: subset"),
            ("head: subset", 0.82, "default"),
        )
    ]
    (contest,) = contests(rows)
    written = tables.ablation(contest).splitlines()[2:]
    assert [line.split("|")[1].strip() for line in written] == [
        "**default**",
        "head: subset",
        "ask: validate",
        "umap: True",
    ]
    assert "| -13.00 ± 0.00 |" in written[1]
    assert "| head: subset | 2 | 0.8050" in written[3]


def test_parts_of_speed_that_are_not_known_are_shown_as_they_are() -> None:
    rows = [speed_row("torch on a GPU", {"seconds": {"fit": 1.5}, "peak_mib": 900}, labels=970), warm(11.0)]
    written = speed.speed(Measured(speed=rows))
    assert "### Torch on a GPU" in written
    assert "| wordnet_hypernym | 0 | 970 | 1.5 | 900 |" in written
    assert "| 970 x 30 | warm, 500 rows more | 2.00 | cold | 22.00 | 11.0 | 0.5000, 0.5000 |" in written


def test_worst_decisions() -> None:
    shares = {"likely_the_data": 0.5, "by_classifier": 0.6, "by_neighbours": 0.7, "truth_second": 0.8}
    figures = {
        "wrong": {"auto": 30, "verified": 4},
        "worst": {"count": 50, **shares},
        "own": {"count": 0},
        "expert": {"count": 4, **shares},
        "pairs": [["fee", "charge", 7]],
        "pool": 1000,
    }
    rows = [row({"set": "banking77", "a_label": 5, "error": 0.05, "seed": 0}, figures)]
    written = sections(page(Measured(worst=rows), NOTES))["Worst decisions"]
    assert "34 of 1,000 decisions differ from gold" in written
    assert "| 50 | 50 % | 60 % | 70 % | 80 % |" in written
    assert "`fee` for `charge` 7" in written


def test_a_plot_is_well_formed_and_names_every_line() -> None:
    rows = [ran("Vermilion", [0.8, 0.9, 0.96]), ran(RIVAL, [0.8, 0.9]), ran("self-training", [0.82])]
    (contest,) = contests([*rows, ran("a < b", [0.8, 0.81])])
    drawn = ET.fromstring(plot(contest, "Agreement, simulated expert"))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Vermilion", RIVAL, "self-training (0 asked)", "a < b", "Agreement, simulated expert"} <= {*texts}
    assert "prefers-color-scheme: dark" in ET.tostring(drawn, encoding="unicode")


def test_names_do_not_lie_on_each_other() -> None:
    places = apart([50, 51, 52, 290, 291, 292], 300)
    assert all(below - above >= 15 for above, below in pairwise(places))
    assert places[-1] <= 300


def test_check_finds_a_page_that_is_not_what_the_results_give(tmp_path: Path) -> None:
    results, notes, docs = tmp_path / "results", tmp_path / "notes.md", tmp_path / "docs"
    notes.write_text(NOTES, encoding="utf-8")
    one = ran("Vermilion", [0.8, 0.96])
    Results(results / "cost.jsonl").add(one["condition"], one["figures"])
    command = ["page", "--results", str(results), "--notes", str(notes), "--docs", str(docs)]
    with pytest.raises(SystemExit, match=r"benchmarks\.md, images/cost-banking77\.svg"):
        main([*command, "--check"])
    assert not docs.exists()
    main(command)
    main([*command, "--check"])
    other = ran(RIVAL, [0.8, 0.85])
    Results(results / "cost.jsonl").add(other["condition"], other["figures"])
    with pytest.raises(SystemExit, match=r"not what the results give: benchmarks\.md"):
        main([*command, "--check"])


def test_a_peer_that_never_gets_there_is_not_beaten_by_half_unless_its_budget_was_twice_ours() -> None:
    from benchmarks.page.goals import State, _half
    from benchmarks.page.measured import contests

    def row(contestant: str, asked: list[int], agreement: list[float]) -> dict[str, object]:
        none = [None] * len(asked)
        curve = {"asked": asked, "agreement": agreement, "test_accuracy": none}
        curve |= {"prompt_tokens": none, "completion_tokens": none}
        place = {"set": "banking77", "a_label": 5, "error": 0.05, "share": 0.15, "rounds": 2}
        more = {
            "most_pool": None,
            "encoder": "minilm",
            "seed": 0,
            "contestant": contestant,
            "benchmark": "cost",
        }
        return {"condition": place | more, "figures": {"curve": curve, "finished": True, "seconds": 1.0}}

    peer = row("scikit-activeml: margin", [0, 1000], [0.8, 0.94])
    ours = row("Vermilion", [0, 700, 1000], [0.8, 0.95, 0.96])
    soon = row("Vermilion", [0, 450, 1000], [0.8, 0.95, 0.96])
    assert _half("banking77", contests([ours, peer])).state is State.MISSED
    assert _half("banking77", contests([soon, peer])).state is State.REACHED
