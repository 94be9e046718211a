import pytest

from benchmark.figures import differences, median, percentile, ratios, significant


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.5, 5.0),
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0, 4.0], 0.5, 2.0),
        ([3.0, 1.0, 2.0, 4.0], 0.75, 3.0),
        ([float(value) for value in range(1, 101)], 0.99, 99.0),
        ([float(value) for value in range(1, 1001)], 0.99, 990.0),
        ([1.0, 2.0], 1, 2.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0), ([1.0], 1.1)])
def test_percentile_of_nothing_is_an_error(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match=r"no values|no share"):
        percentile(values, share)


def test_rounds_are_compared_with_direct_in_the_same_round() -> None:
    assert ratios([50.0, 30.0], [100.0, 40.0]) == [0.5, 0.75]
    assert differences([50.0, 30.0], [45.0, 40.0]) == [5.0, -10.0]


def test_rounds_that_lack_their_direct_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, 0.0), (1234.56, 1235.0), (0.0123456, 0.01235), (-12.3456, -12.35), (1.0, 1.0)],
)
def test_significant(value: float, expected: float) -> None:
    assert significant(value) == expected


def test_median_keeps_what_counts() -> None:
    assert median([1.0, 100.123456, 3000.0]) == 100.1
