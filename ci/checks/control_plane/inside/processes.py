"""The programs of the control plane, each as a process on this container's loopback."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ci.checks.control_plane.inside.api import Api

HOME = Path("/plane")
"""What the container has for them: certificate, keys, and the data of etcd."""
CERTIFICATE, KEY, ACCOUNTS_KEY = HOME / "tls.crt", HOME / "tls.key", HOME / "accounts.key"
DATA = HOME / "etcd"
LOGS = Path("/tmp/logs")  # noqa: S108 - the container's own
POD = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a program in a pod finds who it is; these run as if in pods, each as an administrator."""
TOKEN = "lint"  # noqa: S105 - whoever is in the container may do everything
TOKENS = HOME / "tokens.csv"
ETCD = "http://127.0.0.1:2379"
HOST, PORT = "127.0.0.1", 6443
START_SECONDS = 60.0
STOP_SECONDS = 10.0
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "daemonset-controller",
    "job-controller",
    "cronjob-controller",
    "serviceaccount-controller",
    "resourcequota-controller",
)
"""Those of Kubernetes' own that make something of what is applied; the others have nothing to do without nodes."""


@dataclass(frozen=True)
class Program:
    """One program.

    Attributes:
        name: Of its executable.
        arguments: Behind it.
        ready: Address that answers 200 once it is up; empty for one that nobody asks.
        environment: Variables it needs beside those of every program.
    """

    name: str
    arguments: Sequence[str]
    ready: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


ETCD_PROGRAM = Program(
    "etcd",
    (
        f"--data-dir={DATA}",
        "--unsafe-no-fsync",  # nothing is to outlive the container
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ),
    ready=f"{ETCD}/health",
)
API_SERVER = Program(
    "kube-apiserver",
    (
        f"--etcd-servers={ETCD}",
        f"--bind-address={HOST}",
        f"--secure-port={PORT}",
        "--advertise-address=192.0.2.1",  # has to be one, and nobody is told of it
        f"--tls-cert-file={CERTIFICATE}",
        f"--tls-private-key-file={KEY}",
        f"--token-auth-file={TOKENS}",
        "--authorization-mode=AlwaysAllow",
        "--service-account-issuer=https://127.0.0.1",
        f"--service-account-signing-key-file={ACCOUNTS_KEY}",
        f"--service-account-key-file={ACCOUNTS_KEY}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        "--allow-privileged",  # as kubeadm has it
        "--enable-priority-and-fairness=false",
        # of the cluster that is deployed to, which this is not
        "--disable-admission-plugins=Priority,RuntimeClass,StorageObjectInUseProtection,PersistentVolumeClaimResize",
    ),
    ready=f"https://{HOST}:{PORT}/readyz",
)


def controller_manager(*more: str) -> Program:
    """Return Kubernetes' own controllers, and others that are asked for."""
    names = ",".join((*CONTROLLERS, *more))
    return Program("kube-controller-manager", (f"--controllers={names}", "--leader-elect=false", "--secure-port=0"))


PROGRAMS = (
    controller_manager(),
    Program(
        "kserve-controller",
        ("--metrics-addr=0", "--health-probe-addr=127.0.0.1:18081", "--webhook-port=9443"),
        ready="http://127.0.0.1:18081/readyz",
        environment={"POD_NAMESPACE": "kserve", "TMPDIR": str(HOME / "kserve")},
    ),
    Program(
        "rollouts-controller",
        ("--leader-elect=false", "--healthzPort=18082", "--metricsPort=18083", "--loglevel=error"),
        ready="http://127.0.0.1:18082/healthz",
    ),
    Program(
        "prometheus-operator",
        (
            "--web.listen-address=127.0.0.1:18443",
            "--feature-gates=StatusForConfigurationResources=true",
            "--web.enable-tls",
            f"--web.cert-file={CERTIFICATE}",
            f"--web.key-file={KEY}",
        ),
        ready="https://127.0.0.1:18443/healthz",
    ),
    Program(
        "pilot-discovery",
        (
            "discovery",
            "--httpAddr=127.0.0.1:18084",
            "--httpsAddr=127.0.0.1:15017",
            "--grpcAddr=127.0.0.1:15010",
            "--secureGRPCAddr=",
            "--monitoringAddr=127.0.0.1:15014",
            f"--tlsCertFile={CERTIFICATE}",
            f"--tlsKeyFile={KEY}",
            f"--caCertFile={POD / 'ca.crt'}",  # it watches each, and no file twice
        ),
        ready="http://127.0.0.1:18084/ready",
        environment={
            "POD_NAMESPACE": "istio-system",
            "REVISION": "default",
            "ENABLE_CA_SERVER": "false",
            "PILOT_CERT_PROVIDER": "none",
            # the authority of the webhooks is there already
            "INJECTION_WEBHOOK_CONFIG_NAME": "",
            "VALIDATION_WEBHOOK_CONFIG_NAME": "",
        },
    ),
)
"""The controllers, and whose webhooks are asked."""
COLLECTING = (controller_manager("garbage-collector-controller"), *PROGRAMS[1:])
"""The same where objects are deleted, and with them what was made of them."""


class StartError(SystemExit):
    """A program did not come up; this one ends with what that said."""


class Running:
    """The programs that run, with the API server to speak to."""

    def __init__(self) -> None:
        self.api = Api(f"https://{HOST}:{PORT}", TOKEN, CERTIFICATE)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *programs: Program) -> None:
        """Start programs, and return once all of them are up.

        Raises:
            StartError: One of them ended, or is not up in time.
        """
        for program in programs:
            self._spawn(program)
        for program in programs:
            self._wait(program)

    def close(self) -> None:
        """End all of them: the API server would hold on for seconds, etcd leaves its data whole."""
        for name, process in self._processes.items():
            if name != ETCD_PROGRAM.name:
                process.kill()
        for name, process in reversed(self._processes.items()):
            if name == ETCD_PROGRAM.name:
                process.send_signal(signal.SIGTERM)
            process.wait(STOP_SECONDS)

    def _spawn(self, program: Program) -> None:
        known = {"KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": str(PORT)}
        with (LOGS / f"{program.name}.log").open("wb") as log:
            self._processes[program.name] = subprocess.Popen(
                [program.name, *program.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **known, **program.environment},
            )

    def _wait(self, program: Program) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            if self._processes[program.name].poll() is not None:
                raise StartError(f"{program.name} ended: {_last_words(program)}")
            try:
                if not program.ready or self.api.answers(program.ready):
                    return
            except OSError as error:
                if time.monotonic() > until:
                    raise StartError(f"{program.name} is not up: {error}: {_last_words(program)}") from error
            time.sleep(0.02)


def run(*words: str) -> None:
    """Run a program to its end.

    Args:
        words: Its name, and its arguments.

    Raises:
        StartError: It failed.
    """
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise StartError(f"{words[0]} ended: {_last_lines(ended.stderr)}")


@contextmanager
def running() -> Iterator[Running]:
    """Have etcd and the API server run.

    Raises:
        StartError: One of them did not come up.
    """
    _lay_out()
    plane = Running()
    try:
        plane.start(ETCD_PROGRAM)
        plane.start(API_SERVER)
        plane.api.discover()
        yield plane
    finally:
        plane.close()


def _lay_out() -> None:
    """Write what programs look for at places of their own."""
    LOGS.mkdir(exist_ok=True)
    TOKENS.write_text(f"{TOKEN},{TOKEN},{TOKEN},system:masters\n")
    POD.mkdir(parents=True, exist_ok=True)
    (POD / "token").write_text(TOKEN)
    (POD / "namespace").write_text("default")
    shutil.copy(CERTIFICATE, POD / "ca.crt")
    served = HOME / "kserve" / "k8s-webhook-server" / "serving-certs"
    served.mkdir(parents=True, exist_ok=True)
    shutil.copy(CERTIFICATE, served / "tls.crt")
    shutil.copy(KEY, served / "tls.key")


def _last_words(program: Program) -> str:
    return _last_lines((LOGS / f"{program.name}.log").read_text(errors="replace"))


def _last_lines(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-5:]) or "it said nothing"
