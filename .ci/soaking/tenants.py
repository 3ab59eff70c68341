"""The made-up tenants: `graphkeeper sandbox`, with faults ordered, and people who change their managers."""

import json
import select
import subprocess
import urllib.request

START = 60  # seconds until the sandbox must have said where it is
PEOPLE = 1000
AGENT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# A share of all requests each, so that most runs still come to an end and many do so the long way round.
FAULTS = [
    {"service": "okta", "path": "/api/v1/**", "when": {"share": 0.01}, "fault": "throttle"},
    {"service": "okta", "path": "/api/v1/**", "when": {"share": 0.02}, "fault": "status", "status": 503},
    {"service": "okta", "path": "/api/v1/**", "when": {"share": 0.01}, "fault": "cut_json"},
    {"service": "okta", "path": "/api/v1/**", "when": {"share": 0.03}, "fault": "slow", "millis": 1500},
    {"service": "login", "path": "/**", "when": {"share": 0.02}, "fault": "status", "status": 503, "html": True},
    {"service": "login", "path": "/**", "when": {"share": 0.02}, "fault": "reset"},
    {"service": "graph", "path": "/v1.0/**", "when": {"share": 0.02}, "fault": "throttle",
     "retry_after": {"seconds": 1}},
    {"service": "graph", "path": "/v1.0/**", "when": {"share": 0.02}, "fault": "status", "status": 503},
    {"service": "graph", "path": "/v1.0/**", "when": {"share": 0.01}, "fault": "cut_json"},
    {"service": "graph", "path": "/v1.0/**", "when": {"share": 0.01}, "fault": "reset"},
    {"service": "graph", "path": "/v1.0/**", "when": {"share": 0.03}, "fault": "slow", "millis": 1500},
]  # fmt: skip


class Tenants:
    def __init__(self, program, directory):
        self.command = [program, "sandbox", "--people", str(PEOPLE), "--state", directory, "--json"]
        self.log = directory / "tenants.log"
        self.process = None

    def start(self, seed, dice):
        """Waits until they say where they are."""
        self.dice = dice
        with open(self.log, "w", encoding="utf-8") as log:
            command = [*self.command, "--seed", str(seed)]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        ready, _, _ = select.select([self.process.stdout], [], [], START)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(f"the sandbox did not say where it is within {START} s: {self.log}")
        self.place = json.loads(line)
        self.leaves, self.bosses = self._people()

    def _ask(self, method, path, body=None, base="", headers=()):
        data = None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else f"{base or self.place['okta_url']}{path}"
        request = urllib.request.Request(
            url, data, {"content-type": "application/json", **dict(headers)}, method=method
        )
        with AGENT.open(request, timeout=30) as answer:
            text = answer.read()
            following = [link for link in answer.headers.get_all("link") or [] if 'rel="next"' in link]
        return json.loads(text or "null"), following[0].split(">")[0].lstrip("<") if following else None

    def _people(self):
        """Those who lead nobody, by department, and those who lead: moving one below the other closes no circle."""
        token = [("authorization", f"SSWS {self.place['credentials']['okta_token']}")]
        people, page = [], "/api/v1/users?limit=200"
        while page:
            found, page = self._ask("GET", page, headers=token)
            people += [person["profile"] for person in found if person["status"] == "ACTIVE"]
        led = {(person.get("managerId") or "").strip().lower() for person in people}
        # Without those whom the sandbox put there to make trouble.
        plain = [one for one in people if one["login"].endswith("@corp.example") and one["employeeNumber"] < "9"]
        leaves = {}
        for person in plain:
            if person["login"] not in led:
                leaves.setdefault(person["department"], []).append(person["login"])
        bosses = [person["login"] for person in plain if person["login"] in led][:8]
        return leaves, bosses

    def move(self, departments):
        """Somebody in each department gets another manager in Okta."""
        for department in departments:
            person, boss = self.dice.choice(self.leaves[department]), self.dice.choice(self.bosses)
            self._ask("POST", f"/_sandbox/people/{person}", {"managerId": boss, "managerEmail": boss})

    def order_faults(self):
        self._ask("POST", "/_sandbox/faults", FAULTS)

    def cancel_faults(self):
        self._ask("DELETE", "/_sandbox/faults")

    def writes(self):
        return self._ask("GET", "/_sandbox/journal/writes")[0]

    def answers(self):
        """How many requests were answered, and how many of them with an error, in a line."""
        journal = self._ask("GET", "/_sandbox/journal")[0]
        bad = sum(line["count"] for line in journal["lines"] if line["status"] >= 400)
        return f"{journal['requests']} requests and {journal['items']} items of batches, {bad} refused or failed"

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            return "not ended after 15 s"

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
