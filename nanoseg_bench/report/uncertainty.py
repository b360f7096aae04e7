"""What is said of the uncertainty of the median, the same wherever its sources are listed."""

from typing import Any

from nanoseg_bench.measure.uncertainty import Budget
from nanoseg_bench.report.numbers import text_with_uncertainty, uncertainty_text


def sentence_on(budget: Budget) -> str:
    """What the listed sources are of, what they add up to, and which ones nobody knows."""
    unit = budget.unit
    left_out = f" Not known, and left out: {', '.join(budget.unknown)}." if budget.unknown else ""
    median = text_with_uncertainty(budget.value, budget.combined)
    return (
        f"Standard uncertainties of the median diameter (D50 = {median} {unit}). Combined "
        f"{uncertainty_text(budget.combined)} {unit}; expanded ({factor_of(budget)}) "
        f"{uncertainty_text(budget.expanded)} {unit}.{left_out}"
    )


def factor_of(budget: Budget) -> str:
    """The coverage factor, and why it is above 2 where it is."""
    factor = f"{budget.coverage_factor:.2f}"
    few = f" at {budget.degrees_of_freedom:.0f} degrees of freedom" if float(factor) > 2 else ""
    return f"coverage factor {factor}{few}, about 95 %"


def as_json(budget: Budget) -> dict[str, Any]:
    """The budget with all digits; None for what nobody knows."""
    return {
        "statistic": "d50",
        "value": float(budget.value),
        "unit": budget.unit,
        "combined": float(budget.combined),
        "expanded": float(budget.expanded),
        "coverage_factor": float(budget.coverage_factor),
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
