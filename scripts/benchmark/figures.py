"""Medians, percentiles and ratios of what was measured in turns."""

import math
import statistics
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least so large a share of them does not exceed."""
    if not values:
        raise ValueError("no values")
    if not 0 < share <= 1:
        raise ValueError(f"{share} is no share")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def ratios(values: Sequence[float], bases: Sequence[float]) -> list[float]:
    """Each value as a multiple of the base of the same round."""
    return [value / base for value, base in zip(values, bases, strict=True)]


def differences(values: Sequence[float], bases: Sequence[float]) -> list[float]:
    """What each value is above the base of the same round."""
    return [value - base for value, base in zip(values, bases, strict=True)]


def median(values: Sequence[float]) -> float:
    """The median, rounded to four digits that count: more would be noise."""
    return significant(statistics.median(values))


def significant(value: float, digits: int = 4) -> float:
    """A value with so many digits that count."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))
