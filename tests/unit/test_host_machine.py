"""What doctor says of the machine that will run the cluster."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from ci.base.paths import ROOT
from ci.host import limits, machine
from ci.host.daemon import Daemon


@pytest.mark.parametrize(
    ("demand", "amount", "outcome", "how"),
    [
        ("COLD_DISK", 0, "ok", "GiB free"),
        ("COLD_DISK", 1 << 30, "warning", "a first run takes up to"),
        ("DISK", 1 << 30, "missing", "GiB needed"),
        ("INODES", 1 << 60, "missing", "inodes free"),
    ],
)
def test_disk_space_of_a_folder_that_is_not_there_yet(
    demand: str, amount: int, outcome: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("DISK", "COLD_DISK", "INODES"):
        monkeypatch.setattr(machine, other, machine.Demand("", 0, "", ""))
    monkeypatch.setattr(machine, demand, machine.Demand("", amount, "GiB", ""))
    (tmp_path / "my disk").mkdir()
    check = machine.disk("cache", tmp_path / "my disk" / "a" / "b")
    assert check.outcome == outcome
    assert how in check.how
    assert str(tmp_path / "my disk" / "a" / "b") in check.need
    assert bool(check.fix) == (outcome != "ok")
    if check.fix:
        assert shlex.split(check.fix, comments=True)[2].rstrip(";") == str(tmp_path / "my disk")


def test_disk_space_where_this_user_may_not_look_is_a_line(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    (shut / "docker").mkdir(parents=True)
    shut.chmod(0)
    code = "import pathlib, sys; from ci.host import machine; print(machine.disk('Docker', pathlib.Path(sys.argv[1])))"
    powerless = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []  # root may enter every folder
    try:
        ended = subprocess.run(
            [*powerless, sys.executable, "-c", code, shut / "docker"],
            cwd=ROOT,
            text=True,
            capture_output=True,
            check=True,
        )
    finally:
        shut.chmod(0o700)
    assert "outcome='warning', how='this user may not look (Permission denied): " in ended.stdout
    assert f"fix='sudo df -h {shut}/docker'" in ended.stdout


def test_a_cache_that_cannot_be_looked_at_is_missing(tmp_path: Path) -> None:
    cache = tmp_path / ("x" * 300)
    (check,) = machine.storage(cache)
    assert (check.outcome, check.how) == ("missing", f"{cache}: File name too long")
    assert check.fix == "Use a shorter path."


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("\xff", "not JSON"),
        (None, "this user may not read it"),
    ],
)
def test_a_configuration_of_docker_that_cannot_be_used_is_a_line(text: str | None, how: str, tmp_path: Path) -> None:
    config = tmp_path / "daemon.json"
    config.write_text("{}" if text is None else text, encoding="latin-1")
    config.chmod(0o644 if text is not None else 0)
    code = (
        "import pathlib, sys; from ci.host import docker, machine; docker.USER_CONFIG = pathlib.Path(sys.argv[1]); "
        "print(machine.docker_disk())"
    )
    powerless = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []  # root may read every file
    argv = [*powerless, sys.executable, "-c", code, config]
    ended = subprocess.run(argv, cwd=ROOT, text=True, capture_output=True, check=True)
    assert "Check(need=\"Docker's configuration\", outcome='missing', " in ended.stdout
    assert f"{config}: {how}" in ended.stdout
    assert str(config) in ended.stdout.partition("fix=")[2]


def proc(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Stand a few files in for /proc."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(limits, "PROC", folder)


def test_memory_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "MemTotal:       16384000 kB\nMemAvailable:    {} kB\nHugePages_Total:       0\n"
    proc(tmp_path, monkeypatch, {"meminfo": text.format(4 << 20)})
    assert machine.memory(None) == machine.Check("memory", "ok", "4.0 GiB available")
    proc(tmp_path, monkeypatch, {"meminfo": text.format(3 << 20)})
    check = machine.memory(None)
    assert (check.outcome, check.how) == ("missing", "3.0 GiB available, 4 GiB needed")
    assert check.fix


@pytest.mark.parametrize(
    ("total", "kernel", "name", "fix"),
    [
        (16, "6.8.0", "host", "end something that uses it"),
        (3, "6.8.0", "host", "docker context ls"),
        (3, "5.15.153.1-microsoft-standard-WSL2", "host", "memory=8GB and processors=4 below [wsl2] in"),
        (3, "5.15.153.1-microsoft-standard-WSL2", "docker-desktop", "Docker Desktop, Settings, Resources: 8 GB"),
    ],
)
def test_where_there_is_no_more_memory_none_is_to_be_freed(
    total: int, kernel: str, name: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = f"MemTotal: {total << 20} kB\nMemAvailable: {3 << 20} kB\n"
    proc(tmp_path, monkeypatch, {"meminfo": meminfo, "sys/kernel/osrelease": f"{kernel}\n"})
    daemon = Daemon(version="28.0", kernel=kernel, name=name, same_kernel=True)
    assert machine.memory(daemon).fix.startswith(fix)


def unified(folder: Path, monkeypatch: pytest.MonkeyPatch, path: str, files: dict[str, str], root: str = "/") -> Path:
    """Stand a folder in for the mount of control groups of version 2; return it."""
    mount = folder / "cgroup"
    (mount / path.removeprefix(root).lstrip("/")).mkdir(parents=True)
    for name, text in files.items():
        (mount / name).write_text(text)
    mounted = f"31 23 0:28 {root} {mount} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
    meminfo = f"MemAvailable: {64 << 20} kB\nMemTotal: {64 << 20} kB\n"
    files = {"self/mountinfo": mounted, "self/cgroup": f"0::{path}\n", "meminfo": meminfo}
    proc(folder / "proc", monkeypatch, files)
    return mount


GIB = 1 << 30


@pytest.mark.parametrize(
    ("path", "root", "limit", "fix"),
    [
        (
            "/user.slice/tool.scope",
            "/",
            "user.slice",
            "sudo systemctl set-property --runtime user.slice MemoryMax=infinity",
        ),
        ("/ci/job", "/", "ci/job", "echo max | sudo tee "),
        (
            "/system.slice/docker-" + "ab" * 32 + ".scope",
            "/",
            "system.slice/docker-" + "ab" * 32 + ".scope",
            "docker update --memory=8g --memory-swap=8g abababababab",
        ),
        # a container with the host's cgroup namespace, whose own group is what is mounted
        ("/docker/" + "cd" * 32, "/docker/" + "cd" * 32, ".", "echo max | sudo tee "),
    ],
)
def test_a_control_groups_limit_is_found_up_the_tree(
    path: str, root: str, limit: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = f"anon {GIB}\nactive_file {GIB // 4}\ninactive_file {GIB // 4}\n"
    files = {f"{limit}/memory.max": f"{3 * GIB}\n", f"{limit}/memory.current": f"{GIB}\n", f"{limit}/memory.stat": stat}
    mount = unified(tmp_path, monkeypatch, path, files, root)
    check = machine.memory(None)
    assert (check.outcome, check.how) == ("missing", f"2.5 GiB left by {mount / limit / 'memory.max'}, 4 GiB needed")
    assert check.fix.startswith(fix)


@pytest.mark.parametrize(
    ("group", "fix"),
    [
        ("user.slice", "sudo systemctl set-property --runtime user.slice MemoryHigh=infinity"),
        ("job", "echo max | sudo tee "),
    ],
)
def test_a_group_that_is_slowed_down_above_its_mark_has_no_more_than_that(
    group: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{group}/memory.max": "max\n", f"{group}/memory.high": f"{2 * GIB}\n", f"{group}/memory.current": "0\n"}
    mount = unified(tmp_path, monkeypatch, f"/{group}", files)
    check = machine.memory(None)
    assert (check.outcome, check.how) == ("missing", f"2.0 GiB left by {mount}/{group}/memory.high, 4 GiB needed")
    assert check.fix.startswith(fix)


@pytest.mark.skipif(shutil.which("taskset") is None or (os.cpu_count() or 1) < 2, reason="needs taskset and two CPUs")
def test_cpus_that_this_process_may_not_run_on_do_not_count() -> None:
    code = "from ci.host import machine; print(machine.cpus(None))"
    first = min(os.sched_getaffinity(0))
    ended = subprocess.run(
        ["taskset", "--cpu-list", str(first), sys.executable, "-c", code],
        cwd=ROOT, text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert "outcome='warning', how='1, 2 needed" in ended.stdout
    assert f"without taskset or --cpuset-cpus: this machine has {os.cpu_count()}" in ended.stdout


def test_without_a_limit_the_machines_figure_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unified(
        tmp_path,
        monkeypatch,
        "/job",
        {"job/memory.max": "max\n", "job/cpu.max": "max 100000\n", "job/pids.max": "max\n"},
    )
    assert machine.memory(None).how == "64.0 GiB available"
    assert machine.cpus(None).outcome != "warning" or (os.cpu_count() or 1) < 2
    assert machine.tasks(None) is None


def test_shares_of_cpus_and_tasks_are_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"job/cpu.max": "150000 100000\n", "job/pids.max": "600\n", "job/pids.current": "100\n"}
    mount = unified(tmp_path, monkeypatch, "/job", files)
    granted = machine.cpus(None)
    assert granted.outcome == "warning"
    assert f"{mount}/job/cpu.max grants 1.5" in granted.how
    tasks = machine.tasks(None)
    assert tasks is not None
    assert (tasks.outcome, tasks.how) == ("warning", f"500 more allowed by {mount}/job/pids.max, up to 2048 used")
    elsewhere = Daemon(version="28.0", cpus=8, memory=8 * GIB)
    assert machine.cpus(elsewhere) == machine.Check("CPUs", "ok", "8")
    assert machine.tasks(elsewhere) is None


def test_a_client_with_little_memory_and_its_daemon_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = unified(tmp_path, monkeypatch, "/job", {"job/memory.max": f"{GIB // 2}\n", "job/memory.current": "0\n"})
    daemon = Daemon(version="28.0", memory=8 * GIB)
    check = machine.memory(daemon)
    assert check.outcome == "warning"
    assert (
        check.how == f"8.0 GiB at the daemon's machine; this process: 0.5 GiB left by {mount}/job/memory.max, 1 needed"
    )
    (mount / "job/memory.max").write_text(str(2 * GIB))
    assert machine.memory(daemon).outcome == "ok"


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/sys/fs/cgroup/memory", os.W_OK), reason="needs root, control groups version 1"
)
def test_a_real_control_group(tmp_path: Path) -> None:
    folder = Path("/sys/fs/cgroup/memory", f"ml-serving-ci-test-{os.getpid()}")
    folder.mkdir()
    try:
        (folder / "memory.limit_in_bytes").write_text(str(GIB))
        with subprocess.Popen(["sleep", "60"]) as process:
            (folder / "cgroup.procs").write_text(str(process.pid))
            limit = limits.memory(process.pid)
            process.kill()
    finally:
        folder.rmdir()
    assert limit is not None
    assert limit.file == folder / "memory.limit_in_bytes"
    assert 0.99 * GIB < limit.left <= GIB


V1 = ("cpu", "cpuacct", "cpuset", "devices", "memory", "pids")


@pytest.mark.parametrize(
    ("mounted", "outcome", "how", "fix"),
    [
        (V1, "ok", "version 1", ""),
        (V1[:-1], "missing", "version 1 without pids", "mount -t cgroup -o pids cgroup /sys/fs/cgroup/pids"),
        ((), "missing", "none mounted", "cgroup"),
    ],
)
def test_control_groups_of_version_1(
    mounted: tuple[str, ...], outcome: str, how: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # and a hierarchy of version 2 beside them that has none of these controllers
    lines = [
        f"32 31 0:29 / /sys/fs/cgroup/{name} rw - cgroup {'' if name == 'pids' else 'cgroup'} rw,{name}\n"
        for name in mounted
    ]
    if mounted:
        lines.append(f"41 31 0:38 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    proc(tmp_path, monkeypatch, {"self/mountinfo": "".join(lines), "../cgroup.controllers": "hugetlb\n"})
    check = machine.cgroups(None)
    assert (check.outcome, check.how) == (outcome, how)
    assert fix in check.fix


@pytest.mark.parametrize(
    ("controllers", "outcome", "how"),
    [
        ("cpuset cpu io memory hugetlb pids", "ok", "version 2"),
        ("memory pids", "missing", "version 2 without cpu, cpuset"),
        ("", "missing", "version 2 without cpu, cpuset, memory, pids"),
    ],
)
def test_control_groups_of_version_2(
    controllers: str, outcome: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unified(tmp_path, monkeypatch, "/", {"cgroup.controllers": controllers + "\n"})
    check = machine.cgroups(None)
    assert (check.outcome, check.how) == (outcome, how)
    assert bool(check.fix) == (outcome != "ok")


@pytest.mark.parametrize(("kind", "value"), [("watches", "524288"), ("instances", "512")])
def test_a_low_limit_of_inotify_is_a_warning_with_the_command(
    kind: Literal["watches", "instances"], value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demand = machine.WATCHES if kind == "watches" else machine.INSTANCES
    assert machine.inotify(kind, demand) is not None or not Path("/proc/sys/fs/inotify").exists()
    proc(tmp_path, monkeypatch, {f"sys/fs/inotify/max_user_{kind}": "32\n"})
    check = machine.inotify(kind, demand)
    assert check is not None
    assert check.outcome == "warning"
    assert f"sysctl -w fs.inotify.max_user_{kind}={value}" in check.fix


@pytest.mark.parametrize(
    ("release", "outcome"),
    [
        ("5.12.19", "missing"),
        ("5.13.0-19-generic", "ok"),
        ("5.4.0-216-generic", "missing"),
        ("6.1", "ok"),
        ("10.0", "ok"),
    ],
)
def test_kernels(release: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "release", lambda: release)
    assert machine.kernel(None).outcome == outcome
    # a client's kernel says nothing of the daemon's
    assert machine.kernel(Daemon(version="28.0", kernel="6.8.0")).outcome == "ok"
    assert machine.kernel(Daemon(version="28.0", kernel="3.10.0-1160.el7.x86_64")).outcome == "missing"


@pytest.mark.parametrize(
    ("release", "system", "fix"),
    [
        ("5.10.16.3-microsoft-standard-WSL2", "Ubuntu 20.04.6 LTS", "wsl --update; wsl --shutdown"),
        ("4.4.0-19041-Microsoft", "Ubuntu 20.04.6 LTS", "wsl --set-version DISTRIBUTION 2"),
        (
            "5.4.0-216-generic",
            "Ubuntu 20.04.6 LTS",
            "sudo apt-get update && sudo apt-get install -y linux-generic-hwe-20.04",
        ),
        ("4.19.0-27-amd64", "Debian GNU/Linux 10 (buster)", "docker context create newer"),
    ],
)
def test_a_newer_kernel_comes_from_where_this_one_did(release: str, system: str, fix: str) -> None:
    check = machine.kernel(Daemon(version="28.0", kernel=release, system=system))
    assert check.outcome == "missing"
    assert check.fix.startswith(fix)


@pytest.mark.skipif(shutil.which("setarch") is None, reason="needs setarch")
def test_what_setarch_says_of_the_kernel() -> None:
    code = "from ci.host import machine; print(machine.kernel(None))"
    ended = subprocess.run(
        ["setarch", "--uname-2.6", sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert "outcome='missing'" in ended.stdout


def test_an_architecture_that_nothing_is_pinned_for_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.system() == []
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    (check,) = machine.system()
    assert (check.outcome, check.how) == ("missing", "riscv64: no tool or image is pinned for it")
    assert check.fix


def test_macos_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(limits, "PROC", tmp_path)
    first = machine.checks(tmp_path, None)[0]
    assert (first.outcome, first.how) == ("missing", "macOS: the tools and images are Linux programs")
    assert "ml-serving-ci" in first.fix


def test_the_docs_have_what_is_demanded() -> None:
    table = (ROOT / "docs" / "machines.md").read_text().splitlines()
    for demand in machine.DEMANDS:
        assert f"| {demand.need} | {demand} | {demand.source} |" in table
