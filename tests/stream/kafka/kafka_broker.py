"""A real Apache Kafka broker (KRaft, one node) on loopback, from Maven's artifacts; ended by whoever began it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
CLUSTER = "c2lnbWFwaWxvdC10ZXN0cw"
START_S = 60.0
FETCH_S = 300.0
STOP_S = 20.0


class BrokerError(RuntimeError):
    """The broker cannot be had here, or did not start."""


def jars(folder: Path) -> str:
    """Class path of the broker; Maven fetches what is not there yet.

    Raises:
        BrokerError: no Java or Maven, or the artifacts cannot be fetched.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise BrokerError(f"{program} is not installed")
    command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    done = subprocess.run(
        [*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, timeout=FETCH_S, check=False
    )
    if done.returncode:
        raise BrokerError(f"Maven did not bring the broker: {done.stdout[-400:]}")
    return f"{folder}/*"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def properties(folder: Path, port: int, controller: int) -> str:
    """Settings of the one node. Groups wait for no further members; everything else that matters is the default."""
    return "\n".join(
        f"{name}={value}"
        for name, value in {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": folder / "logs",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            "num.network.threads": 2,
            "num.io.threads": 2,
            "log.cleaner.enable": "false",
        }.items()
    )


@contextmanager
def running(folder: Path, class_path: str) -> Iterator[str]:
    """The broker's `kafka://` URL while it runs."""
    port, controller = free_ports(2)
    config = folder / "server.properties"
    config.write_text(properties(folder, port, controller))
    java = ["java", "-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", class_path]
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(config)],
        check=True, capture_output=True, timeout=START_S,
    )  # fmt: skip
    with (folder / "broker.log").open("wb") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", str(config)], stdout=log, stderr=subprocess.STDOUT)
        try:
            _until_open(process, port, folder / "broker.log")
            yield f"kafka://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(STOP_S)


def _until_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BrokerError(f"the broker ended at its start: {log.read_text()[-800:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise BrokerError(f"the broker does not answer within {START_S:g} s: {log.read_text()[-800:]}")
