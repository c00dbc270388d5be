"""Tails and quantiles of Student's and the normal distribution.

The numbers of ``scipy.stats``, which takes longer to import than most tables take to be made.
"""

from __future__ import annotations


def student_tail(value: float, dof: float) -> float:
    """Return the probability of more than ``value``; infinite ``dof``: of the normal one."""
    from scipy.special import stdtr

    return float(stdtr(dof, -value))


def student_quantile(share: float, dof: float) -> float:
    """Return what is exceeded with the probability 1 - ``share``, which is in (0, 1)."""
    from scipy.special import stdtrit

    return float(stdtrit(dof, share))


def normal_tail(value: float) -> float:
    """Return the probability of more than ``value``."""
    from scipy.special import ndtr

    return float(ndtr(-value))


def normal_quantile(share: float) -> float:
    """Return what is exceeded with the probability 1 - ``share``, which is in [0, 1]."""
    from scipy.special import ndtri

    return float(ndtri(share))
