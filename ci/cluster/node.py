"""The node image with the local registry's address in it."""

from ci.base import command
from ci.host import client, docker
from ci.supply import pins, registry

HOSTS_FOLDER = "/etc/containerd/certs.d"
EVERY_OTHER = "_default"
"""containerd's name for a registry that has no folder of its own; upstream is then what the image's name says."""


def hosts(mirror: str) -> dict[str, str]:
    """Return containerd's registry configuration: ask the mirror first, then upstream.

    Args:
        mirror: The mirror as nodes reach it ("name:port").

    Returns:
        Path in the node to content.
    """
    files = {name: f'server = "{upstream}"\n\n{_host(mirror, name)}' for name, upstream in registry.MIRRORED.items()}
    files[EVERY_OTHER] = _host(mirror, registry.OTHERS)
    return {f"{HOSTS_FOLDER}/{name}/hosts.toml": content for name, content in files.items()}


def _host(mirror: str, folder: str) -> str:
    return f'[host."http://{mirror}/v2/{folder}"]\n  capabilities = ["pull", "resolve"]\n  override_path = true\n'


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
