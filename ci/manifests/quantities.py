"""Quantities, as Kubernetes has them: 1000m of a CPU is 1."""


def same(one: object, other: object) -> bool:
    """Tell whether two values are one quantity, in whatever spelling."""
    from kubernetes.utils import quantity  # takes longer to load than everything else here

    try:
        return bool(quantity.parse_quantity(one) == quantity.parse_quantity(other))
    except ValueError:
        return False
