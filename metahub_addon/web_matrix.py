"""Image by machine type, as the pages show it: the verdicts of decisions, within bounds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from metahub_addon.index import Child
from metahub_addon.recent import Made
from metahub_addon.selection import Decision, Verdict, behind
from metahub_addon.web_views import Image, view_image

_Key = tuple[Child, int]
_Column = dict[_Key, Verdict]
# What a page can bear: whoever builds an image says how long its index is.
_MAX_CELLS = 4000
_MIN_ROWS = 20
_MAX_VERDICTS = 100


class Mark(StrEnum):
    """What a machine type makes of an image."""

    CHOSEN = "chosen"
    FITS = "fits"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Cell:
    """A verdict: the mark, in one word or a few, and the reasons."""

    mark: Mark
    words: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """An image, the machine types that get it, and a cell for each machine type."""

    image: Image
    serves: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that are shown, in the index's order, and how many are left out.

    An index may hold thousands of images; those that are chosen are never left out.
    """

    shown: tuple[MatrixRow, ...]
    left_out: int


def lately(made: Sequence[Made], most: int) -> Sequence[Made]:
    """The newest decisions, as many as have `most` verdicts together; at least one."""
    verdicts = 0
    for at, one in enumerate(made):
        verdicts += len(one.decision.verdicts)
        if at and verdicts > most:
            return made[:at]
    return made


def verdict_rows(decision: Decision) -> Rows:
    """The verdicts of one decision: a matrix with a single machine type."""
    return matrix_rows([decision], _MAX_VERDICTS)


def matrix_rows(decisions: Sequence[Decision], most: int = 0) -> Rows:
    """Image by machine type, at most `most` images (0: as many as a page can bear).

    Decisions on one index may differ in the images that they saw: indexes within the index
    are opened for a machine type's own platform only.
    """
    columns = [_column(decision) for decision in decisions]
    keys = list(dict.fromkeys(key for column in columns for key in column))
    chosen = {
        key
        for decision, column in zip(decisions, columns, strict=True)
        for key, verdict in column.items()
        if verdict.child is decision.chosen
    }
    room = (most or max(_MIN_ROWS, _MAX_CELLS // max(1, len(columns)))) - len(chosen)
    others = [key for key in keys if key not in chosen][: max(0, room)]
    shown = chosen.union(others)
    lean = [_with_chosen_alone(decision) for decision in decisions]
    rows = tuple(_matrix_row(key, lean, columns) for key in keys if key in shown)
    return Rows(rows, len(keys) - len(rows))


def _column(decision: Decision) -> _Column:
    """Verdicts by child, and by how often the same child stood before it in the index."""
    seen: Counter[Child] = Counter()
    column: _Column = {}
    for verdict in decision.verdicts:
        column[verdict.child, seen[verdict.child]] = verdict
        seen[verdict.child] += 1
    return column


def _with_chosen_alone(decision: Decision) -> Decision:
    """All that a verdict is held against; to look for it among thousands each time is slow."""
    chosen = (one for one in decision.verdicts if one.child is decision.chosen)
    return replace(decision, verdicts=tuple(chosen))


def _matrix_row(key: _Key, decisions: Sequence[Decision], columns: Sequence[_Column]) -> MatrixRow:
    cells = tuple(
        _cell(decision, column.get(key))
        for decision, column in zip(decisions, columns, strict=True)
    )
    serves = tuple(
        decision.machine.name
        for decision, one in zip(decisions, cells, strict=True)
        if one.mark is Mark.CHOSEN
    )
    return MatrixRow(view_image(key[0]), serves, cells)


def _cell(decision: Decision, verdict: Verdict | None) -> Cell:
    if verdict is None:
        return Cell(Mark.NO, "no", ("is in an index for another platform",))
    if verdict.child is decision.chosen:
        return Cell(Mark.CHOSEN, "chosen", verdict.reasons)
    if verdict.fits:
        return Cell(Mark.FITS, f"fits, {behind(decision, verdict)}", verdict.reasons)
    return Cell(Mark.NO, "no", verdict.reasons)
