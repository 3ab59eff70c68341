"""The service under test: a process that is started, listened to, measured, killed and stopped."""

import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

from .judge import ALARM

START = 30  # seconds until READY=1; on a busy machine, with a history to look through
STOP = 10  # seconds that the service promises to need after a SIGTERM
TICKS = os.sysconf("SC_CLK_TCK")


def now():
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Service:
    """One state directory and one configuration; a life after the other."""

    def __init__(self, program, directory, file):
        self.command = [program, "daemon", "--config", file]
        self.directory = directory
        self.lives = []
        self.process = None
        self.statuses = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = directory / "notify"
        path.unlink(missing_ok=True)
        self.socket.bind(str(path))
        self.environment = {
            "PATH": os.environ["PATH"],
            "NOTIFY_SOCKET": str(path),
            "GRAPHKEEPER_LOG": "info",
            "NO_PROXY": "127.0.0.1",
        }

    def log(self):
        return self.directory / f"daemon-{len(self.lives):02}.log"

    def start(self):
        """Starts it and waits until it is ready; returns how long that took, in seconds."""
        life = {"spawned": now()}
        self.lives.append(life)
        with open(self.log(), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=self.environment)
        life["pid"] = self.process.pid
        bound = time.monotonic() + START
        while "ready" not in life:
            self.listen(0.1)
            if self.process.poll() is not None:
                raise RuntimeError(
                    f"the service ended with {self.process.returncode} instead of starting: {self.log()}"
                )
            if time.monotonic() > bound:
                raise RuntimeError(f"the service was not ready within {START} s: {self.log()}")
        return (life["ready"] - life["spawned"]) / 1000

    def listen(self, patience):
        """Takes in what the service says of itself, waiting for the first word for so many seconds."""
        while select.select([self.socket], [], [], patience)[0]:
            text = self.socket.recv(4096).decode()
            if "READY=1" in text.splitlines():
                self.lives[-1].setdefault("ready", now())
            self.statuses += "STATUS=" in text
            patience = 0

    def is_up(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.lives[-1]["ended"] = now()
        self.process.kill()
        self.process.wait()
        # A last word that was still on its way is none of the next life's.
        self.listen(0)
        self.process = None

    def stop(self):
        """SIGTERM; the exit code and the seconds until it was gone."""
        self.lives[-1]["ended"] = now()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP + 10)
        except subprocess.TimeoutExpired:
            code = "none"
        took = time.monotonic() - began
        self.end()
        self.listen(0)
        return code, took

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def resident(self):
        """Resident memory in KiB, or None when there is no service just now."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
            return int(re.search(r"^VmRSS:\s+(\d+)", status, re.M).group(1))
        except (AttributeError, OSError):
            return None

    def processor(self):
        """Seconds of processor time that the process has used."""
        text = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8")
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def alarms(self):
        """Lines of all logs that a healthy service does not write."""
        found = []
        for log in sorted(self.directory.glob("daemon-*.log")):
            with open(log, encoding="utf-8", errors="replace") as lines:
                found += [f"{log.name}: {line.strip()}" for line in lines if ALARM.search(line)]
        return found
