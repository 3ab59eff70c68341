"""The two hundred rewrites: what is edited, in which of the five ways, and when the service had taken it in.

Every job's time falls into stretches (see `moments.expected`). An edit that ends or begins one is touched into the file
at an instant that we know; when the service has it is read from its history, where the schedule of each job stands."""

import contextlib
import sqlite3

from .configuration import DROP_IN, OTHER, SECOND, WAYS, schedule
from .moments import shown
from .service import now

STEADY = ("l-second", "l-other", "k-second", "k-jitter")  # jobs that never leave
LEAVING = ("l-leaves", "k-leaves", "m-group")
NOTICED = 20_000  # milliseconds within which an edit must have been taken in
ROOM = 5_000  # milliseconds from the history's word on a new schedule to the last moment by the old one


class Editor:
    def __init__(self, configuration, database, dice):
        self.configuration, self.database, self.dice = configuration, database, dice
        self.stretches = {}
        self.pending = {}  # what the service has not yet taken in, by job
        self.away = {}  # the settings of jobs that were taken out
        self.broken = None  # the way in which the file was spoilt
        self.good, self.written, self.last_edit = 0, {way: 0 for way in WAYS}, 0
        self.alarms = []

    def begin(self, spawned, ready):
        """The service is there for the first time: every job counts from some instant of its start."""
        for job, settings in self.configuration.jobs.items():
            since = self._stored(job).get("since")
            if since and not spawned <= since <= ready:
                start = f"{shown(spawned)} to {shown(ready)}"
                self.alarms.append(f"{job} counts from {shown(since)}, and the service started from {start}")
            self._open(job, settings, [since or spawned, since or ready])

    def finish(self):
        """The idle configuration is in force: the moments of the old one end where those of the new one begin."""
        for job, stretches in self.stretches.items():
            if job not in self.away:
                since = self._stored(job).get("since") or now()
                stretches[-1]["to"] = [since, since]

    def _open(self, job, settings, begin):
        self.stretches.setdefault(job, []).append({"schedule": schedule(settings), "from": begin, "to": None})

    def _stored(self, job):
        """What the history says of a job's schedule."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)) as database:
            database.row_factory = sqlite3.Row
            try:
                row = database.execute("select schedule, since from job where name = ?", [job]).fetchone()
            except sqlite3.OperationalError as error:
                self.alarms += [] if str(error) in self.alarms else [str(error)]
                row = None
        return dict(row) if row else {}

    def ends(self, since):
        """How the runs ended that began since then, by job."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)) as database:
            query = "select job, outcome from run where started_at >= ? and outcome is not null"
            found = {}
            for job, outcome in database.execute(query, [since]):
                found.setdefault(job, set()).add(outcome)
            return found

    def rewrite(self, leave=False, last=False):
        """One of the rewrites; says what was done. One can be asked for that takes a job out or puts it back; the last one
        is an edit that every later run shows."""
        if self.broken:
            return self.mend()
        ways = [way for way in WAYS if self.written[way] == min(self.written.values())]
        way, at = self.dice.choice(ways), now()
        edits = [self._timeout, self._leave, self._leave, self._change, self._spoil]
        edits = [self._timeout] if last else [self._leave] if leave else edits
        what = self.dice.choice(edits)(way, at)
        if self.broken is None:
            self._place(way)
        else:
            self.written[way] += 1
        return f"{way}: {what}"

    def mend(self):
        """What was spoilt is made good again, as often as not in another way."""
        way = DROP_IN if self.broken == DROP_IN else self.dice.choice(WAYS[:-1])
        self.broken = None
        self._place(way)
        return f"{way}: mended"

    def _place(self, way):
        self.configuration.place(way)
        self.written[way] += 1
        self.good, self.last_edit = self.good + 1, now()

    def _timeout(self, way, _at):
        """A time limit, or for the whole client, or a tighter brake."""
        new = 60 + self.good
        jobs = self.configuration.jobs
        if way == DROP_IN:
            job = self.dice.choice(STEADY[:3])
            self.configuration.overrides[job] = new
            return f"timeout of {job} is {new} s"
        if self.dice.random() < 0.3:
            self.configuration.patience = new
            return f"timeout of requests is {new} s"
        if self.dice.random() < 0.3:
            jobs["m-all"]["brake"] = {"change": f"10%, at least {new}"}
            share = int(jobs["m-research"]["brake"]["set"].split("%")[0])
            jobs["m-research"]["brake"] = {**jobs["m-research"]["brake"], "set": f"{max(share - 1, 50)}%"}
            return f"brakes: {new} for m-all, below {share} % for m-research"
        jobs["k-jitter"]["timeout"] = f"{new} seconds"
        return f"timeout of k-jitter is {new} s"

    def _leave(self, way, at):
        """A job is taken out, or put back."""
        jobs = self.configuration.jobs
        job = "k-drop-in" if way == DROP_IN else self.dice.choice(LEAVING)
        if job in self.pending:
            return self._timeout(way, at)
        if job in jobs:
            self.away[job] = jobs.pop(job)
            self.stretches[job][-1]["to"] = [at, None]
            self.pending[job] = {"at": at, "schedule": None}
            return f"{job} is taken out"
        settings = jobs[job] = self.away.pop(job)
        self._open(job, settings, [at, None])
        self.pending[job] = {"at": at, "schedule": settings["schedule"]}
        return f"{job} is put back"

    def _change(self, way, at):
        """Another schedule."""
        settings = self.configuration.jobs["k-changes"]
        if way == DROP_IN or "k-changes" in self.pending:
            return self._timeout(way, at)
        settings["schedule"] = OTHER if settings["schedule"] == SECOND else SECOND
        self.stretches["k-changes"][-1]["to"] = [at, None]
        self._open("k-changes", settings, [at, None])
        self.pending["k-changes"] = {"at": at, "schedule": settings["schedule"]}
        return f"k-changes is {settings['schedule']}"

    def _spoil(self, way, _at):
        self.broken = way
        return f"spoilt ({self.configuration.smash(way, self.dice)})"

    def look(self, up_since):
        """Notes which edits the service has taken in. It must do so soon, once it is up and the file is right."""
        for job, edit in list(self.pending.items()):
            stored, at = self._stored(job), now()
            written = stored.get("schedule")
            taken = written is None if edit["schedule"] is None else (written or "").endswith(edit["schedule"])
            if taken and stored:
                self._taken(job, edit, stored.get("since"), at)
            elif self.broken is None and at - max(edit["at"], up_since, self.last_edit) > NOTICED:
                self.alarms.append(
                    f"{job}: the edit of {shown(edit['at'])} was not taken in within {NOTICED // 1000} s"
                )
                self._taken(job, edit, None, at)

    def _taken(self, job, edit, since, at):
        """Closes the edges that were open: the old schedule ends where the new one begins to count, or by now."""
        if since is not None and since < edit["at"]:
            self.alarms.append(f"{job} counts from {shown(since)}, and was edited at {shown(edit['at'])}")
        last = self.stretches[job][-1]
        ending = [stretch for stretch in self.stretches[job] if stretch["to"] and stretch["to"][1] is None]
        for stretch in ending:
            stretch["to"][1] = (since or at) + ROOM
        if last["from"][1] is None:
            last["from"] = [since or edit["at"], (since or at) + (ROOM if ending else 0)]
        del self.pending[job]
