"""Where things are: this checkout, and the user's cache folder."""

from pathlib import Path

from ci import settings

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "helm" / "charts" / "ml-serving"
ENVIRONMENTS = ("dev", "staging", "prod")
"""In the order a version moves through them."""
DEFAULTS = "defaults"
"""In place of an environment: the chart's own values alone."""
RENDERINGS = (DEFAULTS, *ENVIRONMENTS)


def cache() -> Path:
    """Return the folder of everything that may be rebuilt: `$ML_SERVING_CI_CACHE`, else the user's cache folder."""
    return settings.cache()
