"""The node image with the local registry's address in it."""

from ci.base import command
from ci.host import client, docker
from ci.supply import pins, registry

MIRRORED = {
    "docker.io": "https://registry-1.docker.io",
    "gcr.io": "https://gcr.io",
    "ghcr.io": "https://ghcr.io",
    "public.ecr.aws": "https://public.ecr.aws",
    "quay.io": "https://quay.io",
    "registry.k8s.io": "https://registry.k8s.io",
}
"""The registries whose images the local one holds, each under its own name, and where they really are."""

HOSTS_FOLDER = "/etc/containerd/certs.d"


def hosts(mirror: str) -> dict[str, str]:
    """Return containerd's registry configuration: ask the mirror first, then upstream.

    Args:
        mirror: The mirror as nodes reach it ("name:port").

    Returns:
        Path in the node to content.
    """
    return {
        f"{HOSTS_FOLDER}/{name}/hosts.toml": f'server = "{upstream}"\n\n'
        f'[host."http://{mirror}/v2/{name}"]\n'
        '  capabilities = ["pull", "resolve"]\n'
        "  override_path = true\n"
        for name, upstream in MIRRORED.items()
    }


async def with_mirrors(image: str) -> str:
    """Return a node image that has the registry configuration, made once from the given one.

    kubeadm pulls the control plane's images before kind is done, so it has to be there when the node starts.

    Args:
        image: The node image, in Docker.
    """
    files = hosts(f"{registry.CONTAINER}:{registry.PORT}")
    base = await command.run(["docker", "image", "inspect", "--format={{.Id}}", image], timeout=30)
    made = f"ml-serving-ci/node:{pins.key(base.stdout.strip(), files)}"
    if await client.inspect("image", made) is None:
        label = f"{docker.SERVICE_LABEL}=node"
        created = await command.run(["docker", "create", f"--label={label}", "--pull=never", image], timeout=60)
        container = created.stdout.strip()
        try:
            await docker.copy_in(container, files)
            await command.run(["docker", "commit", f"--change=LABEL {label}", container, made], timeout=300)
        finally:
            await command.run(["docker", "rm", "--force", "--volumes", container], check=False, timeout=60)
    return made
