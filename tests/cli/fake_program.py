"""A small part of a system: tells a shared file what happens to it, listens if given a port, misbehaves if told to.

Arguments: name, file, port (0: none), behaviour (a word of: stubborn, failing, parent, deaf; empty: none).
"""

import signal
import socket
import subprocess
import sys
import time

name, story, port, behaviour = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
GRANDCHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def tell(what: str) -> None:
    with open(story, "a") as file:
        file.write(f"{what} {name}\n")


def leave(*_: object) -> None:
    tell("stop")
    sys.exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else leave)
tell("start")
if behaviour == "failing":
    sys.stdout.write("no luck today\n")
    sys.exit(3)
if behaviour == "parent":
    subprocess.Popen([sys.executable, "-I", "-S", "-c", GRANDCHILD, story])
listener = socket.create_server(("127.0.0.1", port)) if port else None
sys.stdout.write("at your service\n")
sys.stdout.flush()
if listener is not None and behaviour == "deaf":
    listener.accept()  # answers once, as a part that hangs later does
    listener.close()
while True:
    time.sleep(600)
