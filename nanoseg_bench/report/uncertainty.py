"""What is said of the uncertainty of the median, the same wherever its sources are listed."""

from typing import Any

from nanoseg_bench.measure.uncertainty import COVERAGE_FACTOR, Budget
from nanoseg_bench.report.numbers import length_text, uncertainty_text


def sentence_on(budget: Budget) -> str:
    """What the listed sources are of, what they add up to, and which ones nobody knows."""
    unit = budget.unit
    left_out = f" Not known, and left out: {', '.join(budget.unknown)}." if budget.unknown else ""
    return (
        f"Standard uncertainties of the median diameter (D50 = {length_text(budget.value)} {unit}). Combined "
        f"{uncertainty_text(budget.combined)} {unit}; expanded (coverage factor {COVERAGE_FACTOR:g}) "
        f"{uncertainty_text(budget.expanded)} {unit}.{left_out}"
    )


def as_json(budget: Budget) -> dict[str, Any]:
    """The budget with all digits; None for what nobody knows."""
    return {
        "statistic": "d50",
        "value": float(budget.value),
        "unit": budget.unit,
        "combined": float(budget.combined),
        "expanded": float(budget.expanded),
        "sentence": sentence_on(budget),
        "unknown": list(budget.unknown),
        "components": [
            {
                "name": each.name,
                "standard_uncertainty": None if each.name in budget.unknown else float(each.standard_uncertainty),
                "basis": each.basis,
            }
            for each in budget.components
        ],
    }
