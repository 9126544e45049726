# SPDX-FileCopyrightText: 2026 The stic_fast authors
# SPDX-License-Identifier: MIT
"""The 8x8 handwritten digits that come with scikit-learn: nothing to download."""

from __future__ import annotations

import numpy as np

from stic_fast.data.image_set import Splits


def load_digits() -> Splits:
    """1,797 grey images of 8x8 in ten classes "0".."9", one fifth of each class held out for testing.

    The stored values 0..16 become round(255/16 · value), so black is 0 and full ink 255. The split never changes.

    >>> load_digits().train.image_shape
    (1, 8, 8)
    """
    from sklearn import datasets  # takes a second to import, and only this source needs it

    bundle = datasets.load_digits()
    images = np.rint(bundle.images * (255 / 16)).astype(np.uint8)
    names = tuple(str(digit) for digit in range(10))
    return Splits.from_numpy((images, bundle.target), None, class_names=names, name="digits", test_fraction=0.2)
