"""Quantities, as Kubernetes has them: 1000m of a CPU is 1."""

from decimal import Decimal


def amount(value: object) -> Decimal | None:
    """Return how much a value is; None where it is no quantity."""
    from kubernetes.utils import quantity  # takes longer to load than everything else here

    try:
        return Decimal(quantity.parse_quantity(value))
    except ValueError:
        return None


def same(one: object, other: object) -> bool:
    """Tell whether two values are one quantity, in whatever spelling."""
    found = amount(one)
    return found is not None and found == amount(other)
