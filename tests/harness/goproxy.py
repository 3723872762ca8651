"""A Go module proxy that is a folder.

Source: https://go.dev/ref/mod#goproxy-protocol
"""

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci.supply.pins import Module
from tests.unit.conftest import find_go


@dataclass(frozen=True)
class Proxy:
    """The proxy and the `go` that asks it, whose module cache is beside it.

    Attributes:
        folder: What GOPROXY says.
        go: The `go` command.
    """

    folder: Path
    go: Path

    def archive(self, path, version):
        """Where a release's archive lies."""
        escaped = re.sub("[A-Z]", lambda letter: f"!{letter[0].lower()}", path)
        return self.folder / escaped / "@v" / f"{version}.zip"

    def publish(self, path: str, version: str, contents: Mapping[str, str]) -> None:
        """Publish a release of these files."""
        archive, gomod = self.archive(path, version), f"module {path}\n"
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.with_suffix(".info").write_text(json.dumps({"Version": version}))
        archive.with_suffix(".mod").write_text(gomod)
        with (archive.parent / "list").open("a") as releases:
            releases.write(f"{version}\n")
        with zipfile.ZipFile(archive, "w") as written:
            for name, text in {"go.mod": gomod, **contents}.items():
                written.writestr(zipfile.ZipInfo(f"{path}@{version}/{name}"), text)

    def pin(self, path, version):
        """Return a release pinned with the checksum that Go says it has, and its folder in Go's cache."""
        answer = json.loads(subprocess.check_output([self.go, "mod", "download", "-json", f"{path}@{version}"]))
        return Module(path, version, answer["Sum"]), Path(answer["Dir"])

    def clean(self):
        """Delete what Go has unpacked; its folders are read-only."""
        subprocess.run([self.go, "clean", "-modcache"], check=True)


def made(folder: Path, monkeypatch) -> Proxy:
    """Have this process and its programs ask a new proxy for Go modules."""
    proxy = Proxy(folder / "proxy", find_go())
    for name, value in {
        "GOPROXY": f"file://{proxy.folder}",
        "GOSUMDB": "off",
        "GOMODCACHE": str(folder / "modules"),
        "GOENV": "off",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(proxy.go.parent), prepend=os.pathsep)  # or a new cache would fetch one of its own
    return proxy
