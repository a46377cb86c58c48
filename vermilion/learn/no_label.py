"""Whether a text that the expert refused has no label at all, or one that it was not shown."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from vermilion.types import BoolArray, FloatArray

# Before any answer: one text in fifty has no label, give or take a factor of seven, as likely on easy texts as on hard.
CENTRE, SPREAD = np.array([-4.0, 0.0]), np.array([2.0, 1.0])
BOUNDS = ((-12.0, 12.0), (0.0, 5.0))
LEAST = 1e-3


def no_label_proba(unlisted: FloatArray, refused: BoolArray) -> FloatArray:
    """Return for each text that was asked about the probability that no label fits it.

    A refusal has two causes: the text has no label, with probability `pi`, or its label was not among those shown. The
    second is known, from the head. What refusals there are beyond it tells `pi`, which grows with `unlisted` as a
    logistic curve of its logit: a head knows foreign texts less well. Both its coefficients have normal priors, so that
    few answers say little.

    Parameters
    ----------
    unlisted : ndarray of shape (n,)
        The head's calibrated probability of all labels that were not shown, when each text was asked about.
    refused : ndarray of bool, shape (n,)
        Where the expert found none of those shown right.

    Returns
    -------
    ndarray of shape (n,)
        0 where a label was found right.

    Examples
    --------
    Of texts whose label is shown nine times in ten, three in four are refused:

    >>> rate = np.full(40, 0.1)
    >>> no_label_proba(rate, np.arange(40) < 30)[:1].round(1), no_label_proba(rate, np.arange(40) < 4)[:1].round(1)
    (array([1.]), array([0.1]))
    """
    missed = np.clip(np.asarray(unlisted, dtype=np.float64), LEAST, 1 - LEAST)
    if not refused.any():
        return np.zeros(len(missed))
    curve = np.column_stack([np.ones(len(missed)), logit(missed)])
    sign = np.where(refused, 1.0, -1.0)

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        share = expit(curve @ weights)
        chance = np.clip(share + (1 - share) * missed, LEAST**2, 1 - LEAST**2)
        seen = np.where(refused, chance, 1 - chance)
        pull = (weights - CENTRE) / SPREAD
        slope = -sign / seen * (1 - missed) * share * (1 - share)
        return float(pull @ pull / 2 - np.log(seen).sum()), slope @ curve + pull / SPREAD

    share = expit(curve @ minimize(loss, CENTRE, jac=True, method="L-BFGS-B", bounds=BOUNDS).x)
    found: FloatArray = np.where(refused, share / (share + (1 - share) * missed), 0.0)
    return found
