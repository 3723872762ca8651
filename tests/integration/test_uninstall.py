"""`helm uninstall` leaves nothing: nothing of any kind that the cluster knows."""

import pytest

from ci.canary.observe import traffic
from tests.integration.namespace import gone

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sample")]

ALWAYS_THERE = {
    "ConfigMap/istio-ca-crl",
    "ConfigMap/istio-ca-root-cert",
    "ConfigMap/kube-root-ca.crt",
    "ServiceAccount/default",
}
"""What Kubernetes and Istio put into every namespace."""


async def test_the_release_leaves_nothing(request, release):
    if not request.config.option.uninstall:
        pytest.skip("the release was there before the tests: --uninstall lets this one take it away")
    # Given a namespace of the release's own, but for the credentials it was given and the tests' client
    secret = (await release.values())["exampleModel"]["storageSecret"]
    given = {f"Secret/{secret}", f"Pod/{traffic.POD}", f"ConfigMap/{traffic.POD}"}
    # When it is uninstalled
    await release.helm.uninstall(release.name, release.namespace)
    # Then all else is gone
    await gone(release.kubectl, release.namespace, lambda item: item in ALWAYS_THERE | given)
