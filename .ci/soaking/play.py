"""The play: a storm, the calm after it, a stop, and an idle minute."""

import heapq
import json
import pathlib
import random
import shutil
import statistics
import tempfile
import threading
import time

from . import configuration, edits, judge, service, tenants
from .service import now

CALM = 120  # seconds until every job has come to a good end once the faults are over
QUIET = 60  # seconds until a service with nothing to do uses no processor time
MEMORY = 1.2  # the last minute's memory, as a multiple of the first's
WARM = 300  # seconds of a storm below which the growth to a service's usual size is most of what is seen
IDLE = 0.001  # of a core
GOOD = {
    "managers": ("succeeded", "planned", "partial", "held"),
    "licenses": ("succeeded",),
    "keepalive": ("succeeded",),
}


class Clerk:
    """Prints what was found, and counts."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, what, problems, shown=12):
        if not problems:
            self.passed += 1
            print(f"ok      {what}", flush=True)
            return
        self.failed += 1
        print(f"FAILED  {what}: {len(problems)}", flush=True)
        for problem in problems[:shown]:
            print(f"        {problem}")
        if len(problems) > shown:
            print(f"        … and {len(problems) - shown} more")

    def verdict(self, story, database):
        """What the judge says."""
        for line in judge.figures(story, database):
            print(line)
        for check, problems in judge.judge(story, database).items():
            self.check(check.replace("_", " "), problems)


class Machine(threading.Thread):
    """Notes when the machine hung: then nobody is to blame for what came late."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stalls, self.over = [], threading.Event()

    def run(self):
        before = now()
        while not self.over.wait(0.1):
            at = now()
            if at - before > 1_500:
                self.stalls.append([before, at])
            before = at


class Soak(Clerk):
    def __init__(self, options):
        super().__init__()
        self.options, self.dice = options, random.Random(options.seed)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="graphkeeper-soak-"))
        self.machine = Machine()
        self.children = []
        self.samples, self.actions, self.order, self.kills = [], [], 0, 0
        self.began = time.monotonic()
        self.log = open(self.directory / "soak.log", "w", encoding="utf-8")

    def prepare(self):
        """The tenants, with faults, and the configuration of a service that works on them."""
        program, file = self.options.program, self.directory / "graphkeeper.toml"
        self.tenants = tenants.Tenants(program, self.directory)
        self.children.append(self.tenants)
        self.tenants.start(self.options.seed, self.dice)
        self.configuration = configuration.Configuration(file)
        self.database = self.directory / "state" / "graphkeeper.db"
        self.editor = edits.Editor(self.configuration, self.database, self.dice)
        self.service = service.Service(program, self.directory, file)
        self.children.append(self.service)
        self.tenants.order_faults()

    def say(self, text):
        print(f"{time.monotonic() - self.began:7.1f} {text}", file=self.log, flush=True)

    def at(self, seconds, do):
        """Has something done so many seconds after the beginning."""
        self.order += 1
        heapq.heappush(self.actions, (seconds, self.order, do))

    def play(self):
        """The storm, the calm after it, the stop, and the idle minute."""
        self.prepare()
        self.began = time.monotonic()
        self.machine.start()
        took = self.start()
        self.editor.begin(self.service.lives[0]["spawned"], self.service.lives[0]["ready"])
        print(f"ready after {took * 1000:.0f} ms; {self.directory}", flush=True)
        self.plan()
        while self.actions:
            seconds, _, do = self.actions[0]
            left = self.began + seconds - time.monotonic()
            self.service.listen(min(max(left, 0), 0.1))
            if left <= 0:
                heapq.heappop(self.actions)
                do()
            if self.service.is_up():
                self.editor.look(self.service.lives[-1]["ready"])
            elif self.service.process is not None:
                raise RuntimeError(f"the service ended by itself with {self.service.process.returncode}")
        self.calm()
        self.stop("a SIGTERM amid the runs is obeyed")
        self.idle()

    def plan(self):
        length, draw = self.options.seconds, self.dice.uniform
        for kill in range(self.options.kills):
            # One in each part, so that there is a life between any two.
            part = length * 0.45 / self.options.kills
            self.at(length * 0.05 + part * (kill + draw(0, 0.3)), lambda: self.kill(part))
        for rewrite in range(self.options.rewrites):
            part = length * 0.95 / self.options.rewrites
            self.at(part * (rewrite + draw(0.1, 0.9)), self.rewrite)
        for half in range(length * 2):
            self.at(half / 2, self.measure)
        for second in range(0, length, 3):
            self.at(second, lambda: self.tenants.move([self.dice.choice(configuration.DEPARTMENTS)]))
        self.at(length, lambda: None)

    def start(self):
        if self.editor.broken:
            self.rewritten(self.editor.mend())
        took = self.service.start()
        self.say(f"started: process {self.service.process.pid}, ready after {took:.2f} s")
        return took

    def kill(self, part):
        """`kill -9`, and a new start: at once, or after some seconds; the first time after the longest pause. In a long
        one a job leaves or comes back, which the service does not see happen."""
        if not self.service.is_up():
            return
        self.service.kill()
        longest = 0.65 * part
        pause = self.dice.choice((0, self.dice.uniform(0.2, longest))) if self.kills else longest
        self.kills += 1
        self.say(f"killed, for {pause:.1f} s")
        at = time.monotonic() - self.began
        if pause > 1:
            self.at(at + pause / 2, lambda: self.rewrite(leave=True))
        self.at(at + pause, self.start)

    def rewrite(self, leave=False):
        done = sum(self.editor.written.values())
        if done >= self.options.rewrites:
            return
        self.rewritten(self.editor.rewrite(leave, last=done >= self.options.rewrites - 2))
        if self.editor.broken:
            self.at(time.monotonic() - self.began + self.dice.uniform(0.5, 1.5), self.mend)

    def mend(self):
        if self.editor.broken:
            self.rewritten(self.editor.mend())

    def rewritten(self, what):
        self.say(f"{sum(self.editor.written.values())}. {what}")

    def measure(self):
        resident = self.service.resident()
        if resident is not None:
            self.samples.append((time.monotonic() - self.began, len(self.service.lives), resident / 1024))

    def calm(self):
        """No faults any more: every job comes to a good end, kills or no kills."""
        self.mend()
        self.tenants.cancel_faults()
        self.calm_at, bound = now(), time.monotonic() + CALM
        self.say("calm")
        missing = self.configuration.jobs.keys()
        while missing and time.monotonic() < bound:
            self.service.listen(0.5)
            self.editor.look(self.service.lives[-1]["ready"])
            ends = self.editor.ends(self.calm_at)
            missing = [job for job in self.configuration.jobs if not ends.get(job, set()) & set(GOOD[self.kind(job)])]
        ends = self.editor.ends(self.calm_at)
        self.check(
            f"every job comes to a good end within {CALM} s after the storm",
            [f"{job}: {', '.join(sorted(ends.get(job, ['no run'])))}" for job in missing],
        )

    def kind(self, job):
        return self.configuration.jobs[job]["kind"]

    def stop(self, what):
        code, took = self.service.stop()
        self.say(f"stopped with {code} after {took:.1f} s")
        wrong = [] if code == 0 and took <= service.STOP else [f"exit code {code} after {took:.1f} s"]
        self.check(f"{what}, within {service.STOP} s ({took:.1f} s)", wrong)

    def idle(self):
        """A service whose jobs are hourly, half an hour away from all of them, uses next to no processor time.

        It goes on with the same history: up to its start every moment of the old schedules must have its row."""
        self.configuration.idle((time.gmtime().tm_min + 30) % 60)
        self.start()
        self.editor.finish()
        used, bound = -1, time.monotonic() + QUIET
        while used != self.service.processor() and time.monotonic() < bound:
            used = self.service.processor()
            self.let_pass(2)
        begin, began = self.service.processor(), time.monotonic()
        self.let_pass(self.options.idle)
        share = (self.service.processor() - begin) / (time.monotonic() - began)
        resident = self.service.resident() / 1024
        # The kernel counts in hundredths: one of them is no finding.
        wrong = share > IDLE + 1 / service.TICKS / self.options.idle
        told = f"idle for {self.options.idle} s: {share:.3%} of a core, {resident:.1f} MB resident"
        self.check(told, [f"more than {IDLE:.1%}"] if wrong else [])
        self.stop("a SIGTERM ends the idle service")

    def let_pass(self, seconds):
        """The time itself is what is wanted, for a measurement."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.service.listen(left)

    def memory(self):
        """The first minute against the last: of the life that saw the second half in the mean; of the whole soak at most, as
        in its first minute each kill is followed by a process that begins small."""
        window = min(60, self.options.seconds / 5)
        last = [sample for sample in self.samples if sample[1] == self.samples[-1][1]]
        for what, samples, judged in (("the soak", self.samples, max), ("the last life", last, statistics.mean)):
            first = [size for at, _, size in samples if at - samples[0][0] <= window]
            final = [size for at, _, size in samples if samples[-1][0] - at <= window]
            means, peaks = [statistics.mean(first), statistics.mean(final)], [max(first), max(final)]
            told = f"memory of {what}, first and last {window:.0f} s: {means[0]:.1f} and {means[1]:.1f} MB in the mean"
            told += f" ({means[1] / means[0]:.2f}), {peaks[0]:.1f} and {peaks[1]:.1f} MB at most"
            if self.options.seconds < WARM:
                print(f"told       {told}")
            else:
                grown = judged(final) > MEMORY * judged(first)
                self.check(told, [f"more than {MEMORY} times as much"] if grown else [])

    def conclude(self):
        """Hands the story to the judge."""
        self.machine.over.set()
        writes = self.tenants.writes()
        print(f"tenants    {self.tenants.answers()}")
        code = self.tenants.stop()
        self.check("the tenants end in order", [] if code == 0 else [f"exit code {code}"])
        self.memory()
        story = {
            "stretches": self.editor.stretches,
            "lives": self.service.lives,
            "stalls": self.machine.stalls,
            "jitter": {"k-jitter": 1000},
            "people": tenants.PEOPLE,
            "writes": writes,
            "memory": self.samples,
            "editions": self.editor.good,
            "last_edit": self.editor.last_edit,
            "alarms": self.editor.alarms + self.service.alarms(),
        }
        (self.directory / "story.json").write_text(json.dumps(story, indent=1), encoding="utf-8")
        lives = f"{len(self.service.lives)}, {self.kills} ended by kill -9"
        print(f"lives      {lives}; {self.service.statuses} status lines, {len(story['stalls'])} stalls")
        print(f"rewrites   {', '.join(f'{count} {way}' for way, count in self.editor.written.items())}")
        self.verdict(story, self.database)

    def end(self):
        """No child outlives the soak; what a failed one left is kept."""
        for child in self.children:
            child.end()
        self.log.close()
        if self.failed:
            print(f"kept for a look: {self.directory}")
        else:
            shutil.rmtree(self.directory)
