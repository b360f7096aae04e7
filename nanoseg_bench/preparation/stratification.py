"""Whole source groups into parts that each show every class, the rarest class first, then every density.

scikit-learn's ``StratifiedGroupKFold`` knows one label per image and equal folds; a class of fewer images than folds is
left to chance. Real sets are that small: of 29 micrographs of three classes, split 8:1:1, test and val hold three each,
and each should be of another class. So groups are dealt out by iterative stratification (Sechidis, Tsoumakas and
Vlahavas, "On the stratification of multi-label data", 2011), over groups instead of images, and with a first round that
gives each part one group of each class.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from nanoseg_bench.preparation.survey import Surveyed

Column = tuple[str | None, int | None]
"""What is shared out: (class, None) images that show the class, (class, tertile) those of one density among them;
None for the class stands for all images."""

_IMAGES: Column = (None, None)

_DENSITY_WEIGHT = 0.1
"""How much a density counts beside a class: enough to decide between parts that want a class alike, no more."""

_ATTEMPTS = 20
"""Deals that are tried where a class is missing that need not be; the later ones take groups of a class at random. Of
378 tiny sets (3 to 8 groups, several classes per image) whose best split was found by trying all, one deal missed no
class more in 296, twenty in 371."""

_NEEDED = "train"
"""The part that must not miss a class: what is not learnt cannot be found, and is judged on for nothing."""


def group_contents(records: Sequence[Surveyed], groups: Mapping[str, str]) -> dict[str, Counter[Column]]:
    """What each source group holds, by group.

    Args:
        records: Micrographs.
        groups: Source group by micrograph name.
    """
    counts = np.array([sum(each.labels.values()) for each in records])
    tertiles = np.searchsorted(np.quantile(counts, (1 / 3, 2 / 3)), counts, side="left")
    contents: dict[str, Counter[Column]] = {}
    for record, tertile in zip(records, tertiles.tolist(), strict=True):
        shown = [None, *(label for label, number in record.labels.items() if number)]
        columns = [(label, density) for label in shown for density in (None, tertile)]
        contents.setdefault(groups[record.name], Counter()).update(columns)
    return contents


def tolerated(share: float) -> float:
    """By how many images a part may deviate from its share: half of it, or one image, which is rounding."""
    return max(share / 2, 1)


def stratify(
    contents: Mapping[str, Counter[Column]],
    shares: Mapping[str, float],
    seed: int,
    fixed: Mapping[str, str] | None = None,
    *,
    stream: int = 0,
) -> dict[str, str]:
    """Give every group a part.

    First each part gets one group of each class, as long as there are groups of the class and the part stays within
    what its share tolerates; the rarest class first, and of each class ``train`` first. Then each part gets at least
    one group. What is left goes, large groups and rare classes first, where it adds least to the sum of
    (have - due)² / due over images, classes and densities.

    Args:
        contents: By group, see ``group_contents``.
        shares: By part, in the order in which parts are served. A part named ``train`` never gives away the last
            group of a class that it lacks, unless another part would stay empty.
        seed: Of the order of groups of one size.
        fixed: Part by group, of groups that have one already.
        stream: Which of several draws by the same seed it is.

    Returns:
        Part by group, those of ``fixed`` included; it does not depend on the order of ``contents``.
    """
    shown_by = Counter(column for content in contents.values() for column in _classes(content))
    unavoidable = sum(max(len(shares) - groups, 0) for groups in shown_by.values())
    rarest_first = sorted(shown_by, key=lambda column: (shown_by[column], column))
    best: _Dealing | None = None
    for attempt in range(_ATTEMPTS):
        dealing = _Dealing(contents, shares, np.random.default_rng((seed, attempt, stream)), fixed or {})
        dealing.deal(rarest_first, at_random=attempt > 0)
        if best is None or dealing.missing < best.missing:
            best = dealing
        if best.missing <= (0, unavoidable):
            break
    return best.part_of if best else {}


class _Dealing:
    """Groups on their way into parts."""

    def __init__(
        self,
        contents: Mapping[str, Counter[Column]],
        shares: Mapping[str, float],
        generator: np.random.Generator,
        fixed: Mapping[str, str],
    ) -> None:
        self.part_of = dict(fixed)
        self._contents = contents
        self._totals: Counter[Column] = sum(contents.values(), Counter())
        self._due = {
            part: {column: share / sum(shares.values()) * total for column, total in self._totals.items()}
            for part, share in shares.items()
        }
        self._have: dict[str, Counter[Column]] = {part: Counter() for part in shares}
        for group, part in fixed.items():
            if part in self._have:
                self._have[part].update(contents[group])
        order = generator.permutation(sorted(set(contents) - set(fixed)))
        self._left = dict.fromkeys(str(group) for group in order)
        self._left_show = Counter(column for group in self._left for column in contents[group])

    @property
    def missing(self) -> tuple[int, int]:
        """Classes that are missing from train, and from all parts together."""
        lacking = {part: sum(not have[each] for each in _classes(self._totals)) for part, have in self._have.items()}
        return lacking.get(_NEEDED, 0), sum(lacking.values())

    def deal(self, rarest_first: Sequence[Column], *, at_random: bool) -> None:
        """Give every group a part.

        Args:
            rarest_first: The classes.
            at_random: Take the first group that may show a class in a part, not the one that suits the part best.
        """
        for column in rarest_first:
            for part, have in self._have.items():
                if not have[column]:
                    self._cover(part, column, at_random)
        for part, have in self._have.items():
            if not have[_IMAGES] and self._left:
                self._fill(part)
        rarity = {column: number for number, column in enumerate((*rarest_first, _IMAGES))}
        # A group of a common class comes last: there are more places for it.
        rarest = {group: min(rarity[each] for each in self._contents[group] if each in rarity) for group in self._left}
        for group in sorted(self._left, key=lambda group: (-self._size(group), rarest[group])):
            free = [part for part in self._have if not self._taken_from_train(group, part)]
            self._give(min(free, key=lambda part: self._cost(part, group)), group)

    def _cover(self, part: str, column: Column, at_random: bool) -> None:
        have, due = self._have[part], self._due[part]
        missing = {each for each in due if each[1] is None and not have[each]}
        room = due[_IMAGES] + tolerated(due[_IMAGES]) - have[_IMAGES]
        # What each class that is still missing may take of the room; within that, smaller is not better.
        fair = max(room / len(missing), 1)

        def rank(group: str) -> tuple[float, ...]:
            content = self._contents[group]
            # Train takes the largest, which fits nowhere else.
            size = -self._size(group) if part == _NEEDED else max(self._size(group) - fair, 0)
            repeated = sum(have[each] for each in content if each[0] is None and each[1] is not None)
            return -len(missing & content.keys()), size, repeated

        candidates = [
            group
            for group in self._left
            if column in self._contents[group]
            and not self._taken_from_train(group, part)
            and (part == _NEEDED or self._size(group) <= room)
        ]
        empty = sum(not each[_IMAGES] for name, each in self._have.items() if name != part)
        if candidates and len(self._left) > empty:
            self._give(part, candidates[0] if at_random else min(candidates, key=rank))

    def _fill(self, part: str) -> None:
        """A first group for an empty part: the one that takes least from train and is nearest to the part's share."""
        due = self._due[part][_IMAGES]
        self._give(
            part, min(self._left, key=lambda group: (self._taken_from_train(group, part), abs(self._size(group) - due)))
        )

    def _taken_from_train(self, group: str, part: str) -> int:
        """How many classes train would miss for good if the group went to the part."""
        train = self._have.get(_NEEDED)
        if part == _NEEDED or train is None:
            return 0
        return sum(not train[each] and self._left_show[each] < 2 for each in _classes(self._contents[group]))

    def _give(self, part: str, group: str) -> None:
        del self._left[group]
        self._left_show.subtract(self._contents[group].keys())
        self.part_of[group] = part
        self._have[part].update(self._contents[group])

    def _size(self, group: str) -> int:
        return self._contents[group][_IMAGES]

    def _cost(self, part: str, group: str) -> float:
        """What the group adds to the sum of (have - due)² / due."""
        have, due = self._have[part], self._due[part]
        return sum(
            (1 if column[1] is None else _DENSITY_WEIGHT)
            * number
            * (number + 2 * (have[column] - due[column]))
            / due[column]
            for column, number in self._contents[group].items()
        )


def _classes(content: Mapping[Column, int]) -> list[Column]:
    return [column for column in content if column[1] is None and column != _IMAGES]
