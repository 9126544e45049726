# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""Derives the polynomial coefficients of csrc/core/normal.h and reports their errors.

Box–Muller needs log(u), sin and cos of a uniform angle. To give the same bits on every machine they are evaluated as
fp32 polynomials with explicit fma. Each polynomial is the Chebyshev interpolant (near-minimax) of the smooth part of
the function, in double precision, its coefficients rounded to fp32:

    log(1 + f)  = f − f²/2 + f³·P(f)       f in [√½ − 1, √2 − 1]
    sin(π/2·t)  = t·S(t²)                  t in [−½, ½]
    cos(π/2·t)  = C(t²)

Run `python tools/fit_normal_polynomials.py`; the constants it prints are those of the header.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mpmath import mp, mpf

mp.dps = 40


def chebyshev_fit(function: Callable[[mpf], mpf], low: float, high: float, degree: int) -> np.ndarray:
    """Interpolates `function` at the degree + 1 Chebyshev nodes of [low, high]; coefficients from x⁰ up."""
    nodes = [mp.cos(mp.pi * (2 * k + 1) / (2 * degree + 2)) for k in range(degree + 1)]
    x = [(mpf(low) + high) / 2 + (mpf(high) - low) / 2 * node for node in nodes]
    system = mp.matrix([[xi**power for power in range(degree + 1)] for xi in x])
    solution = mp.lu_solve(system, mp.matrix([function(xi) for xi in x]))
    return np.array([float(c) for c in solution])


def evaluate(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Horner's rule in double precision with the fp32 coefficients."""
    return np.polyval(coefficients.astype(np.float32).astype(np.float64)[::-1], x)


def main() -> None:
    """Prints each polynomial as C constants and its largest error in double arithmetic."""
    low, high = float(np.sqrt(0.5) - 1), float(np.sqrt(2) - 1)
    log_tail = chebyshev_fit(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3 if f else mpf(1) / 3, low, high, 7)
    sine = chebyshev_fit(lambda s: mp.sin(mp.pi / 2 * mp.sqrt(s)) / mp.sqrt(s) if s else mp.pi / 2, 0, 0.25, 3)
    cosine = chebyshev_fit(lambda s: mp.cos(mp.pi / 2 * mp.sqrt(s)), 0, 0.25, 4)

    f = np.linspace(low, high, 1_000_001)
    t = np.linspace(-0.5, 0.5, 1_000_001)
    with np.errstate(invalid="ignore", divide="ignore"):
        log_error = np.nanmax(np.abs((f - f * f / 2 + f**3 * evaluate(log_tail, f)) / np.log1p(f) - 1))
    sine_error = np.max(np.abs(t * evaluate(sine, t * t) - np.sin(np.pi / 2 * t)))
    cosine_error = np.max(np.abs(evaluate(cosine, t * t) - np.cos(np.pi / 2 * t)))

    for name, fit, error in (
        ("log tail P", log_tail, f"relative {log_error:.2e}"),
        ("sine S", sine, f"absolute {sine_error:.2e}"),
        ("cosine C", cosine, f"absolute {cosine_error:.2e}"),
    ):
        print(f"{name}: {error}")
        for power, c in enumerate(fit.astype(np.float32)):
            print(f"    c{power} = {float(c).hex()}f,  // {c:.9g}")


if __name__ == "__main__":
    main()
