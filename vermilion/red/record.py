"""What a run tells about itself: the shape of summary.json, and what the report shows beyond it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from vermilion.learn.worth import Gain
from vermilion.red.trust import Trust
from vermilion.types import Source

if TYPE_CHECKING:  # the terminal shows these shapes, and must not wait for the libraries behind their figures
    from vermilion.learn.acceptance import Acceptance
    from vermilion.learn.calibration_metrics import ReliabilityBin


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round, as its row in the summary.

    Attributes
    ----------
    round : int
        From 0; round 0 has only the labelled texts.
    uncertain : int
        Pool texts whose margin is below the run's threshold after this round's fit.
    asked, confirmed : int
        Questions answered in this round; those that gave a label (not "none of these").
    agreement : float or None
        Share of the random texts of the last three rounds on which head and expert agreed, extended to the
        pool; in the last round that of the audit.
    calls : int
        Questions answered from the start of the run to the end of this round.
    cost_usd : float
        Likewise.
    kappa : float or None
        Cohen's kappa between this round's model and the one before, on a random stop set.
    gold_agreement : float or None
        Agreement of all decisions with the gold labels (simulation only); with several labels a text, the share of
        texts with all labels right and none wrong.
    gold_f1 : float or None
        Micro-F1 by the gold labels, with several labels a text.
    seconds_fit, seconds_expert : float
    agreement_lower : float or None
        Lower bound of `agreement` by the random texts of all rounds so far, at the run's confidence in all rounds at
        once; it takes later models to be no worse than earlier ones.
    gain_per_100_calls, gain_per_dollar : Gain or None
        By how many percentage points agreement with the expert is expected to grow with 100 more calls, and with one
        more dollar, from this round's fit on; None before a round was learned from, or without a price.
    """

    round: int
    uncertain: int
    asked: int
    confirmed: int
    agreement: float | None
    calls: int = 0
    cost_usd: float = 0.0
    kappa: float | None = None
    gold_agreement: float | None = None
    seconds_fit: float = 0.0
    seconds_expert: float = 0.0
    agreement_lower: float | None = None
    gain_per_100_calls: Gain | None = None
    gain_per_dollar: Gain | None = None
    gold_f1: float | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """Agreement with the expert is at least `lower`, with this confidence, by a random, blind audit.

    `measure` names what is certified: agreement, the share of decisions that are the expert's; or micro-F1 of the
    labels, the expert's answers being the truth.
    """

    estimate: float
    lower: float
    upper: float
    confidence: float
    method: str
    n: int
    note: str = ""
    measure: Literal["agreement", "micro-F1"] = "agreement"


@dataclass(frozen=True, slots=True)
class GroupCertificate:
    """Agreement with the expert of some of the decisions, as they were when the audit was drawn.

    Attributes
    ----------
    kind : {"source", "labels", "pairs"}
        What groups of this kind have in common; the bounds of all groups of a kind hold at once.
    name : str
    rows : int
        Pool rows in the group; of pairs, the pairs of a text and a label.
    estimate : float or None
        None where the audit drew none of them.
    lower, upper : float
    n : int
        Audit answers in the group.
    method : str
    labels : tuple of str
        Of a group of labels.
    """

    kind: str
    name: str
    rows: int
    estimate: float | None
    lower: float
    upper: float
    n: int
    method: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The final label of one pool text and how it came about: one row of decisions.jsonl.

    Attributes
    ----------
    label : str or None
        None where no label fits: the expert refused them (source `none`), or the text looks foreign to all labels
        (`out_of_scope`).
    out_of_scope : float or None
        How foreign the text looks: the share of labelled texts, held out, that look less so. None where the label is
        known.
    """

    id: str
    text: str
    label: str | None
    confidence: float
    source: Source
    round: int
    candidates: tuple[tuple[str, float], ...]
    out_of_scope: float | None = None


@dataclass(frozen=True, slots=True)
class HeadTrial:
    """One head tried by cross-validation on the labelled texts."""

    head: str
    params: dict[str, Any]
    accuracy: float
    accuracy_std: float
    log_loss: float
    seconds: float
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class CalibrationRecord:
    """How the kept model's probabilities were set right at the run's end, and what they are worth.

    All figures are of texts held out from the heads and from the calibration. Answers count as what they stand for in
    the pool, and as right with the probability that they are.

    Attributes
    ----------
    method : str
    temperature : float
    n, labelled : int
        Texts held out; how many of them were labelled from the start.
    answer_error : float
        Share of the expert's answers that are wrong, by this fit.
    ece_before, ece : float
        Expected calibration error, with the temperature that the run began with, and as calibrated.
    classwise_ece, log_loss : float
    brier_before, brier : float
        From 0 to 2.
    bins : tuple of ReliabilityBin
        Of the reliability diagram.
    """

    method: str
    temperature: float
    n: int
    labelled: int
    answer_error: float
    ece_before: float
    ece: float
    classwise_ece: float
    brier_before: float
    brier: float
    log_loss: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class PairCalibration:
    """What the probabilities of a model are worth where a text may have several labels, on labelled texts held out.

    Attributes
    ----------
    method : str
    n, pairs : int
        Texts; pairs of a text and a label.
    ece : float
        Expected calibration error over all pairs.
    f1_micro, f1_macro : float
        Of the labels that the model gives these texts; its thresholds were fitted on them, too.
    bins : tuple of ReliabilityBin
        Of the reliability diagram.
    """

    method: str
    n: int
    pairs: int
    ece: float
    f1_micro: float
    f1_macro: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Two labels that the expert had to tell apart most often, with texts that show it.

    Where a text may have several labels: a label, and that a text has it not.
    """

    proposed: str
    answered: str
    count: int
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProposedLabel:
    """A label that may be missing: a group of texts that no label fits.

    Attributes
    ----------
    name : str
        Its most typical words.
    size : int
        Pool rows.
    ids, texts : tuple of str
        Of the most typical ones.
    """

    name: str
    size: int
    ids: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """summary.json. `gold`, `people` and `trust` stay None where there is no gold or no report on the expert.

    `task` is named where a text may have several labels; all figures are then of texts and labels as it says there.
    """

    texts: int
    labels: int
    encoder: str
    head: str
    rounds: tuple[RoundRecord, ...]
    calls: int
    tokens: dict[str, int]
    cost_usd: float
    seconds: dict[str, float]
    decisions: dict[str, int]
    certificate: Certificate | None
    stopped: str
    groups: tuple[GroupCertificate, ...] = ()
    acceptance: Acceptance | None = None
    people: dict[str, Any] | None = None
    expert: str = "none"
    simulated: bool = False
    unique_texts: int = 0
    labelled: int = 0
    gold: dict[str, float] | None = None
    trust: Trust | None = None
    heads_compared: tuple[HeadTrial, ...] = ()
    calibration: CalibrationRecord | PairCalibration | None = None
    health: dict[str, Any] | None = None
    out_of_scope: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    task: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON types; what does not apply is left out, but for the certificate."""
        told = asdict(self) | {"trust": self.trust and self.trust.as_json()}
        return {k: _finite(v) for k, v in told.items() if v is not None or k == "certificate"}


def _finite(value: Any) -> Any:
    """Replace NaN, which JSON does not know, by None, wherever it is."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not isfinite(value) else value


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that report.html shows.

    Attributes
    ----------
    title : str
    summary : Summary
    confidence_counts : dict of str to tuple of int
        For each source of decision, the number of texts in 20 equal bins of confidence from 0 to 1.
    pairs : tuple of ConfusedPair
        Hardest label pairs, most frequent first.
    label_counts : tuple of (label, decided, labelled)
        Pool texts decided for each label and labelled examples it had.
    open_texts : tuple of Decision
        A few of the least certain decisions, for a person to look at.
    proposed : tuple of ProposedLabel
        The largest first.
    """

    title: str
    summary: Summary
    confidence_counts: dict[Source, tuple[int, ...]]
    pairs: tuple[ConfusedPair, ...]
    label_counts: tuple[tuple[str, int, int], ...]
    open_texts: tuple[Decision, ...]
    proposed: tuple[ProposedLabel, ...] = ()
