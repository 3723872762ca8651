"""Images that tests make: a server of their own on a base that is there."""

import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

BUILD_SECONDS = 120


def publish(
    crane: Path,
    ref: str,
    server: Path,
    *,
    work: Path,
    base: Sequence[str],
    mutate: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> str:
    """Publish an image that starts a server with python3; return its digest.

    Args:
        crane: The executable.
        ref: Where it goes.
        server: The server's file, which the image has in /server.
        work: A folder for its layer.
        base: crane's options that say what is below it.
        mutate: Further options of `crane mutate`.
        env: What crane finds its logins with.
    """
    layer = work / "server.tar"
    with tarfile.open(layer, "w") as tar:
        member = tarfile.TarInfo(f"server/{server.name}")
        member.size, member.mode = server.stat().st_size, 0o644
        with server.open("rb") as content:
            tar.addfile(member, content)

    def run(*words: str) -> str:
        ended = subprocess.run(
            [crane, *words],
            env={**(env or {}), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    run("append", *base, f"--new_layer={layer}", f"--new_tag={ref}")
    run("mutate", *mutate, f"--entrypoint=python3,/server/{server.name}", "--user=1000", f"--tag={ref}", ref)
    return run("digest", ref)
