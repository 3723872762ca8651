"""Products that run a Docker daemon in a virtual machine of their own: how each is told, started and enlarged."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Product:
    """One product.

    Attributes:
        name: What it is called.
        pattern: Matches its context's name, its socket, its machine's name, system or kernel.
        start: The command that starts it.
        enlarge: What gives its machine more; {memory} GiB and {cpus} are filled in.
        update: What gives it a newer kernel.
    """

    name: str
    pattern: re.Pattern[str]
    start: str
    enlarge: str
    update: str


WSL = "memory={memory}GB and processors={cpus} below [wsl2] in %UserProfile%\\.wslconfig, then wsl --shutdown"
"""What gives WSL 2 more, where no product has Docker in it."""
KNOWN = (
    Product(
        "colima",
        re.compile(r"^colima\b|/\.?colima/"),
        "colima start",
        "colima stop && colima start --cpu {cpus} --memory {memory}",
        "brew upgrade colima && colima delete && colima start   # deletes its containers and images",
    ),
    Product(
        "OrbStack",
        re.compile(r"orbstack", re.IGNORECASE),
        "orb start",
        "orb config set memory_mib $(({memory} * 1024)) && orb config set cpu {cpus} && orb restart",
        "update OrbStack (its menu: Check for Updates)",
    ),
    Product(
        "Rancher Desktop",
        re.compile(r"rancher-desktop|/\.rd/"),
        "rdctl start",
        "rdctl set --virtual-machine.memory-in-gb {memory} --virtual-machine.number-cpus {cpus}",
        "update Rancher Desktop (Help, Check for Updates)",
    ),
    Product(
        "Docker Desktop",
        re.compile(r"^desktop-linux$|^docker-desktop$|^Docker Desktop$|/\.docker/(run|desktop)/|dockerDesktop"),
        "docker desktop start",
        "Docker Desktop, Settings, Resources: {memory} GB of memory, {cpus} CPUs (with WSL 2: "
        "memory={memory}GB and processors={cpus} below [wsl2] in %UserProfile%\\.wslconfig, then wsl --shutdown)",
        "docker desktop update   # or from its menu; with WSL 2: wsl --update",
    ),
    Product(
        "Docker in rootless mode",
        re.compile(r"^rootless$|/run/user/\d+/docker\.sock$"),
        "systemctl --user start docker",
        "use a machine with {memory} GiB of memory and {cpus} CPUs",
        "update the kernel",
    ),
)


def find(*traits: str) -> Product | None:
    """Return the product that traits of a daemon give away, or None.

    Args:
        traits: Names, addresses, systems and kernels.
    """
    return next((product for product in KNOWN if any(product.pattern.search(trait) for trait in traits)), None)


def start(context: str, endpoint: str) -> str:
    """Return the command that starts the daemon of a context, empty where its product is not known.

    Args:
        context: The context's name.
        endpoint: Its address.
    """
    product = find(context, endpoint)
    if product is None:
        return ""
    profile = context.removeprefix("colima-") if product.name == "colima" and context.startswith("colima-") else ""
    return f"{product.start} {profile}".strip()
