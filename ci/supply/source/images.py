"""Images put together by crane, in the local registry, from layers made here."""

from collections.abc import Sequence
from pathlib import Path

from ci.base import command
from ci.supply.pins import ImageSource, architecture

INPUTS = "ml-serving-ci.inputs"
"""Annotation of a manifest: the key of all that the image was made of."""


async def assemble(crane: Path, ref: str, layers: Sequence[Path], config: ImageSource, inputs: str, log: Path) -> str:
    """Push one image.

    Args:
        crane: The crane executable.
        ref: Where it goes, with the registry's address.
        layers: Its layers, lowest first.
        config: Entrypoint, command, environment, user and working folder.
        inputs: The key of all that it is made of.
        log: Gets crane's output.

    Returns:
        The image's digest.
    """
    bare = await command.run(
        [crane, "append", "--oci-empty-base", "--new_tag", ref, *(f"--new_layer={layer}" for layer in layers)],
        timeout=600,
    )
    options = [f"--set-platform=linux/{architecture()}", f"--tag={ref}", f"--annotation={INPUTS}={inputs}"]
    if config.entrypoint:
        options.append(f"--entrypoint={','.join(config.entrypoint)}")
    if config.cmd:
        options.append(f"--cmd={','.join(config.cmd)}")
    options += [f"--env={variable}" for variable in config.env]
    if config.user:
        options.append(f"--user={config.user}")
    if config.workdir:
        options.append(f"--workdir={config.workdir}")
    await command.run([crane, "mutate", bare.stdout.strip(), *options], log=log, timeout=600)
    return (await command.run([crane, "digest", ref], timeout=60)).stdout.strip()
