"""The judge: reads what the service wrote, and what the tenants and the soak itself saw, and says what does not fit.

A story is what the soak noted down (`story.json`): `stretches` of each job, `lives` of the service, `stalls` of the
machine, and the `writes` that the tenants saw."""

import bisect
import collections
import contextlib
import json
import re
import sqlite3

from . import moments
from .moments import shown

# Words of the ledger for a moment that had a run of its own, and for those that may follow a time without service.
RUN = ("ran", "late", "caught_up")
MISSED = ("collapsed", "too_old", "skipped", "down", "caught_up")
# From so much after its due time on, a run is `late`; and what the machine may need on top, in milliseconds.
LATE, SLACK = 5_000, 3_000
# A run is over for the service only when its last row is written, and a busy disk takes its time.
CLOSING = 10_000
# Within so many milliseconds of a moment the service has looked at it.
LOOK = 1_000
# Milliseconds within which an edit is in force.
TAKEN_IN = 5_000
DONE = ("succeeded", "planned", "partial", "held", "source_incomplete")


class History:
    """The rows that matter, from a history that nobody writes any more."""

    def __init__(self, path):
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            read = lambda query: [dict(row) for row in database.execute(query)]
            self.moments = read("select job, planned_at, disposition, run, reason from moment order by job, planned_at")
            self.runs = read("select * from run order by job, started_at")
            self.changes = read("select * from change order by id")
            self.intact = database.execute("pragma integrity_check").fetchone()[0]
        self.run = {run["id"]: run for run in self.runs}
        self.of_job = collections.defaultdict(list)
        for run in self.runs:
            self.of_job[run["job"]].append(run)
        self.rows = collections.defaultdict(dict)
        for row in self.moments:
            self.rows[row["job"]].setdefault(row["planned_at"], []).append(row)
        self.planned = {row["run"]: row["planned_at"] for row in self.moments if row["disposition"] in RUN}

    def near(self, job, moment):
        """The rows on either side of a moment, for whoever has to find out what went wrong."""
        at = sorted(self.rows[job])
        place = bisect.bisect_left(at, moment)
        rows = [self.rows[job][one][0] for one in at[max(0, place - 2) : place + 3]]
        return "; ".join(f"{shown(row['planned_at'])} {row['disposition']}" for row in rows)


def every_moment_has_one_row(story, history):
    for job, stretches in story["stretches"].items():
        rows = history.rows[job]
        must, may = moments.expected(stretches, rows)
        for moment in sorted(must - rows.keys()):
            yield f"{job} {shown(moment)} has no row; beside it: {history.near(job, moment)}"
        for moment, same in rows.items():
            if len(same) > 1:
                yield f"{job} {shown(moment)} has {len(same)} rows"
            if moment not in may:
                yield f"{job} {shown(moment)} has a row ({same[0]['disposition']}) and was not scheduled"
    for job in history.rows.keys() - story["stretches"].keys():
        yield f"{job} has rows and is no job"


def every_run_has_one_moment(_story, history):
    told = collections.Counter(row["run"] for row in history.moments if row["disposition"] in RUN)
    for run in history.runs:
        if run["trigger"] == "schedule" and told[run["id"]] != 1:
            yield f"run {run['id']} of {run['job']}, begun {shown(run['started_at'])}, has {told[run['id']]} moments"


def every_moment_that_ran_has_its_run(_story, history):
    for row in history.moments:
        if row["disposition"] not in RUN:
            continue
        which, run = f"{row['job']} {shown(row['planned_at'])} {row['disposition']}", history.run.get(row["run"])
        if run is None:
            beside = history.near(row["job"], row["planned_at"])
            yield f"{which} has no run ({row['run'] or 'null'}); beside it: {beside}"
        elif run["job"] != row["job"] or run["trigger"] != "schedule":
            yield f"{which} has run {run['id']}, which is a {run['trigger']} run of {run['job']}"
        elif run["started_at"] < row["planned_at"]:
            yield f"{which}: its run {run['id']} began before it, {shown(run['started_at'])}"


def within(at, spans, before=0, after=0):
    return any(begin - before <= at <= end + after for begin, end in spans)


def gaps(story):
    """When there was no service, or the whole machine hung."""
    lives = story["lives"]
    spans = [[life["ended"], after["ready"]] for life, after in zip(lives, lives[1:])]
    return spans + story["stalls"]


def every_disposition_makes_sense(story, history):
    away = gaps(story)
    for job, rows in history.rows.items():
        stretches = story["stretches"].get(job, [])
        edits = [stretch["to"] for stretch in stretches]
        for moment, (row, *_) in rows.items():
            wrong = sense(story, history, job, row, away, edits)
            if wrong:
                why = f" ({row['reason']})" if row["reason"] else ""
                yield f"{job} {shown(moment)} {row['disposition']}{why}: {wrong}"


def sense(story, history, job, row, away, edits):
    at, word = row["planned_at"], row["disposition"]
    jitter = story["jitter"].get(job, 0)
    missed = within(at, away, before=SLACK + jitter, after=SLACK)
    if word in ("ran", "late"):
        run = history.run.get(row["run"])
        delay = run["started_at"] - at if run else 0
        if word == "ran" and delay > jitter + LATE + SLACK:
            return f"it began {delay / 1000:.1f} s after its moment"
        if word == "late" and delay < LATE:
            return f"it began {delay / 1000:.1f} s after its moment"
        return None
    if word == "overlap":
        before = (run for run in history.of_job[job] if history.planned.get(run["id"], at) < at)
        busy = any((run["ended_at"] or at) + CLOSING >= at for run in before)
        return None if busy else "no run of an earlier moment was going on"
    if word == "collapsed" and not any(
        later > at and same[0]["disposition"] in RUN for later, same in history.rows[job].items()
    ):
        return "no later moment ran"
    if word in MISSED:
        edited = word == "skipped" and within(at, edits, before=LOOK + jitter)
        return None if missed or edited else "the service was there, and so was the machine"
    return "nothing in this soak leads to that"


def no_run_is_open(story, history):
    ends = [life["ended"] for life in story["lives"]]
    for run in history.runs:
        which = f"run {run['id']} of {run['job']}, begun {shown(run['started_at'])}"
        if run["outcome"] is None:
            yield f"{which}, is open"
        elif run["ended_at"] < run["started_at"]:
            yield f"{which}, ended before, {shown(run['ended_at'])}"
        elif run["outcome"] == "interrupted" and not any(run["started_at"] <= end <= run["ended_at"] for end in ends):
            yield f"{which}, was interrupted, and nobody stopped the service"


def no_two_runs_of_a_job_at_once(_story, history):
    for job, runs in history.of_job.items():
        for before, after in zip(runs, runs[1:]):
            if before["ended_at"] is None or before["ended_at"] > after["started_at"]:
                begun = shown(after["started_at"])
                yield f"{job}: run {before['id']} had not ended when run {after['id']} began, {begun}"


def every_tally_makes_sense(story, history):
    accepted = collections.Counter()
    for change in history.changes:
        # What was accepted without an answer that reached us counts when the run itself read it back.
        late = change["settled"] == "written" and change["settled_at"] <= history.run[change["run"]]["ended_at"]
        accepted[change["run"], change["kind"]] += change["answer"] == "accepted" or late
    for run in history.runs:
        tally = json.loads(run["tally"] or "{}")
        which = f"{run['kind']} run {run['id']} of {run['job']}, {run['outcome']} ({run['reason']})"
        if run["reason"] in ("panic", "state_unusable") or run["outcome"] == "busy":
            yield f"{which}: {run['message']}"
        if run["outcome"] not in DONE:
            continue
        if run["kind"] == "managers":
            yield from (f"{which}: {wrong}" for wrong in miscounted(tally, accepted, run, story["people"]))
        elif not tally.get("products") and not tally.get("requests"):
            yield f"{which}: counts nothing: {run['tally']}"


def miscounted(tally, accepted, run, people):
    if run["outcome"] != "source_incomplete" and not people * 0.9 <= tally["people"] <= people * 1.1:
        yield f"{tally['people']} people of {people}"
    if tally["in_scope"] > tally["people"]:
        yield f"{tally['in_scope']} in scope of {tally['people']}"
    for kind in ("set", "change", "clear"):
        counts = [tally[word][kind] for word in ("planned", "accepted", "confirmed")]
        if counts != sorted(counts, reverse=True):
            yield f"{kind}: planned, accepted, confirmed are {counts}"
        if tally["accepted"][kind] != accepted[run["id"], kind]:
            yield f"{kind}: {tally['accepted'][kind]} accepted, and {accepted[run['id'], kind]} in the journal"


def every_write_has_its_intent(story, history):
    """The tenants' own journal of writes against the history's."""
    intents = collections.defaultdict(list)
    for change in history.changes:
        intents[change["client_request_id"]].append(change)
    stored = collections.Counter()
    for write in story["writes"]:
        done, name = write["write"], write["client_request_id"]
        if not done["stored"]:
            continue
        stored[name] += 1
        told = [(change["account"], change["from_account"], change["to_account"]) for change in intents[name]]
        if told != [(done["account"], done["from"], done["to"])]:
            yield f"write {name} of {write['at']} was stored as {done} and intended as {told}"
    for name, times in stored.items():
        if times > 1:
            yield f"write {name} was stored {times} times"
    for change in history.changes:
        state = change["settled"] or change["answer"] or "intended"
        known = {"confirmed": 1, "unconfirmed": 1, "accepted": 1, "written": 1, "not_written": 0, "refused": 0}
        which = f"change {change['id']} of {change['login']} in run {change['run']} is {state}"
        if state in ("intended", "unknown"):
            yield f"{which}: nobody settled it"
        elif state in known and known[state] != stored[change["client_request_id"]]:
            yield f"{which}, and was stored {stored[change['client_request_id']]} times"


def nothing_alarming_was_said(story, _history):
    """In the logs of the service, or by those who watched it."""
    yield from story["alarms"]


def the_last_edition_is_in_force(story, history):
    """What the last runs used came with the last edit. (`last_edit` is the instant at which that was written.)"""
    before = {run["config_fingerprint"] for run in history.runs if run["started_at"] < story["last_edit"]}
    after = {run["config_fingerprint"] for run in history.runs if run["started_at"] > story["last_edit"] + TAKEN_IN}
    if len(after) != 1 or after & before:
        yield f"after the last edit the runs used {len(after)} editions, {len(after & before)} of them from before"
    # Not every edition is in force when a run begins: some last for a second, others come while there is no service.
    if len(before | after) < story["editions"] / 3:
        yield f"{story['editions']} editions were written, and {len(before | after)} were ever used"


def history_is_whole(_story, history):
    if history.intact != "ok":
        yield history.intact


CHECKS = (
    every_moment_has_one_row,
    every_moment_that_ran_has_its_run,
    every_run_has_one_moment,
    every_disposition_makes_sense,
    no_run_is_open,
    no_two_runs_of_a_job_at_once,
    every_tally_makes_sense,
    every_write_has_its_intent,
    the_last_edition_is_in_force,
    nothing_alarming_was_said,
    history_is_whole,
)

# What no log of a healthy service says, whatever the tenants and the soak do to it.
# A kill may come between the note of a run's end and its row: the next life then writes the row, and says so.
ALARM = re.compile(
    r"panicked|a defect in graphkeeper|could not be recorded(?! at the time, is recorded now)|was not recorded"
)


def judge(story, path):
    """What does not fit, by check."""
    history = History(path)
    return {check.__name__: list(check(story, history)) for check in CHECKS}


def figures(story, path):
    """What happened, in lines."""
    history = History(path)
    words = collections.Counter(row["disposition"] for row in history.moments)
    must = sum(len(moments.expected(ends, history.rows[job])[0]) for job, ends in story["stretches"].items())
    yield f"moments    {must} by brute force, {len(history.moments)} rows: {listed(words)}"
    for kind in ("managers", "licenses", "keepalive"):
        runs = [run for run in history.runs if run["kind"] == kind]
        outcomes = collections.Counter(
            run["outcome"] if run["outcome"] in DONE else f"{run['outcome']} ({run['reason']})" for run in runs
        )
        yield f"{kind:<11}{len(runs)} runs: {listed(outcomes)}"
    stored = sum(write["write"]["stored"] for write in story["writes"])
    states = collections.Counter(change["settled"] or change["answer"] or "intended" for change in history.changes)
    yield f"writes     {stored} stored by the tenants; {len(history.changes)} intents: {listed(states)}"
    prints = collections.Counter(run["config_fingerprint"] for run in history.runs)
    yield f"editions   {story['editions']} good ones written, {len(prints)} seen by runs"


def listed(counts):
    return ", ".join(f"{count} {word}" for word, count in counts.most_common()) or "none"
