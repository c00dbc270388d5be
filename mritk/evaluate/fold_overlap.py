"""How much more a mean over folds varies than its test samples alone let it.

The models of k folds are trained on parts that overlap, and on each other's test samples. Another
draw of patients would change them all together, which no fold shows: there is no unbiased estimate
of it (Bengio & Grandvalet 2004, No unbiased estimator of the variance of k-fold cross-validation,
J. Mach. Learn. Res. 5, 1089–1105). So the correlation ρ of the folds is assumed. It makes the
variance of the mean (1 + (k - 1) ρ) / (1 - ρ) times what independent folds would have.

Nadeau & Bengio 2003 (:mod:`mritk.evaluate.corrected_t`) take ρ = 1 / k, which comes to 2.1 to 2.25
times for 10 and 5 folds. Where classifiers are trained on real folds, the variance is 1.3 to 1.7
times what patients alone show (docs/statistics.md). So half of that correlation is taken: 1.5 to
1.6 times.
"""

from __future__ import annotations


def inflation(folds: int) -> float:
    """Return the factor of the variance of a mean over k folds; 1 if there are no folds."""
    if folds < 2:
        return 1.0
    correlation = 1 / (2 * folds)
    return (1 + (folds - 1) * correlation) / (1 - correlation)
