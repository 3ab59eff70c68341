"""Tries the judge: made-up histories, each with one planted fault, and the checks that must find it, and no other."""

import contextlib
import datetime
import json
import pathlib
import sqlite3
import tempfile

from . import judge, moments

MIGRATIONS = pathlib.Path(__file__).resolve().parents[2] / "migrations"
BEGIN = 1_790_000_000_000  # a full minute is not needed; 2026-09-21T13:33:20Z
ACCOUNT, BOSS = "a" * 36, "b" * 36
TALLY = {
    "people": 1000,
    "in_scope": 10,
    "planned": {"set": 1, "change": 0, "clear": 0},
    "accepted": {"set": 1, "change": 0, "clear": 0},
    "confirmed": {"set": 1, "change": 0, "clear": 0},
}


def row(table, **values):
    """An insert and what it inserts."""
    return f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})", list(values.values())


def run(name, job, kind, second, seconds=0.4, outcome="succeeded", tally=None):
    begun = BEGIN + int(second * 1000)
    return row(
        "run",
        id=name,
        job=job,
        kind=kind,
        trigger="schedule",
        caller="schedule",
        config_fingerprint="one",
        started_at=begun,
        pid=1,
        host="here",
        ended_at=begun + int(seconds * 1000),
        outcome=outcome,
        tally=json.dumps(tally or {"products": 2}),
    )


def moment(job, second, word, name=None):
    at = BEGIN + int(second * 1000)
    return row("moment", job=job, planned_at=at, disposition=word, run=name, reason=None, recorded_at=at)


def healthy():
    """Twenty seconds: `cron` every two of them, `every` each; from 7 to 14 there is no service."""
    rows = []
    for second in range(2, 21, 2):
        if 8 <= second <= 14:
            rows.append(
                moment("cron", second, "caught_up" if second == 14 else "collapsed", "c014" if second == 14 else None)
            )
        else:
            rows.append(moment("cron", second, "ran", f"c{second:03}"))
    rows += [moment("slow", 10, "too_old"), moment("slow", 20, "ran", "s020"), run("s020", "slow", "keepalive", 20.3)]
    rows += [run(f"c{second:03}", "cron", "licenses", second + 0.2) for second in (2, 4, 16, 18, 20)]
    rows += [run("c006", "cron", "licenses", 6.9, 7.3, "interrupted"), run("c014", "cron", "licenses", 14.3)]
    for second in range(0, 21):
        word = "down" if 7 < second <= 14 else "ran" if second != 4 else "overlap"
        rows.append(moment("every", second + 0.25, word, f"e{second:03}" if word == "ran" else None))
        if word == "ran":
            length = 1.5 if second == 3 else 0.4
            rows.append(
                run(f"e{second:03}", "every", "managers", second + 0.5, length, tally=TALLY if second == 1 else NONE)
            )
    rows.append(
        row(
            "change",
            run="e001",
            job="every",
            person="p",
            login="ana",
            account=ACCOUNT,
            upn="ana",
            kind="set",
            to_account=BOSS,
            from_label="",
            to_label="bo",
            client_request_id="r1",
            intent_at=BEGIN,
            answer="accepted",
            answered_at=BEGIN,
            settled="confirmed",
            settled_at=BEGIN,
        )
    )
    return rows


NONE = {**TALLY, **{word: {"set": 0, "change": 0, "clear": 0} for word in ("planned", "accepted", "confirmed")}}


def story():
    stretch = lambda schedule: {"schedule": schedule, "from": [BEGIN, BEGIN], "to": [BEGIN + 20_900, BEGIN + 21_000]}
    write = {"account": ACCOUNT, "from": None, "to": BOSS, "stored": True}
    return {
        "stretches": {
            "cron": [stretch({"cron": "*/2 * * * * *", "zone": "Asia/Kathmandu"})],
            "every": [stretch({"every": 1})],
            "slow": [stretch({"cron": "*/10 * * * * *", "zone": "UTC"})],
        },
        "lives": [
            {"ready": BEGIN, "ended": BEGIN + 7_000},
            {"ready": BEGIN + 14_200, "ended": BEGIN + 21_000},
        ],
        "stalls": [],
        "jitter": {},
        "people": 1000,
        "writes": [{"at": "then", "client_request_id": "r1", "write": write}],
        "editions": 1,
        "last_edit": 0,
        "alarms": [],
    }


ROWS, RUNS, MOMENTS = "every moment has one row", "every run has one moment", "every moment that ran has its run"
SENSE, OPEN, ONCE = "every disposition makes sense", "no run is open", "no two runs of a job at once"
TALLIES, WRITES = "every tally makes sense", "every write has its intent"
at = lambda second: BEGIN + int(second * 1000)
FAULTS = {
    "a missing row": (f"delete from moment where job = 'cron' and planned_at = {at(10)}", ROWS),
    "a missing row amid the runs": (f"delete from moment where job = 'every' and planned_at = {at(4.25)}", ROWS),
    "no first row": (f"delete from moment where job = 'every' and planned_at < {at(2)}", ROWS, RUNS),
    "a missing last row": (f"delete from moment where job = 'cron' and planned_at = {at(20)}", ROWS, RUNS),
    "no rows at all": ("delete from moment where job = 'every'", ROWS, RUNS),
    "an extra row": (moment("cron", 11, "collapsed"), ROWS),
    "an extra row beside a moment": (moment("cron", 10.5, "collapsed"), ROWS),
    "an extra row off the grid": (moment("every", 10.75, "down"), ROWS),
    "a row of an unknown job": (moment("gone", 10, "down"), ROWS),
    "a doubled run": (run("d001", "cron", "licenses", 4.7, 0.1), RUNS),
    "a run for two moments": ("update moment set run = 'c002' where run = 'c004'", RUNS, MOMENTS),
    "a moment whose run is lost": ("delete from run where id = 'c016'", MOMENTS),
    "a moment without its run": ("update moment set run = null where run = 'c016'", MOMENTS, RUNS),
    "a run of another job": ("update moment set run = 'e016' where run = 'c016'", MOMENTS, RUNS),
    "a run before its moment": (f"update run set started_at = {at(15.5)} where id = 'c016'", MOMENTS),
    "an open run": ("update run set outcome = null, ended_at = null where id = 'c020'", OPEN),
    "an interruption by nobody": ("update run set outcome = 'interrupted' where id = 'c018'", OPEN),
    "two runs at once": (f"update run set ended_at = {at(18.9)} where id = 'c016'", ONCE),
    "down while it was up": ("update moment set disposition = 'down', run = null where run = 'c002'", SENSE, RUNS),
    "an overlap with nothing": (
        "update moment set disposition = 'overlap', run = null where run = 's020'",
        SENSE,
        RUNS,
    ),
    "a pause by nobody": (
        f"update moment set disposition = 'paused' where planned_at = {at(10)} and job = 'cron'",
        SENSE,
    ),
    "covered by nothing": (
        f"update moment set disposition = 'collapsed', run = null where job = 'cron' and planned_at >= {at(14)}",
        SENSE,
        RUNS,
    ),
    "late without delay": ("update moment set disposition = 'late' where run = 'c002'", SENSE),
    "a tally of too many": (f"update run set tally = '{json.dumps(TALLY)}' where id = 'e002'", TALLIES),
    "a panic": ("update run set outcome = 'failed', reason = 'panic' where id = 'c002'", TALLIES),
    "a write without intent": ("delete from change", TALLIES, WRITES),
    "an intent of something else": (f"update change set to_account = '{'c' * 36}'", WRITES),
    "an intent that nobody settled": (
        "update change set settled = null, settled_at = null, answer = 'unknown'",
        TALLIES,
        WRITES,
    ),
    "a write denied": ("update change set settled = 'not_written'", WRITES),
}
TOLD = {
    "a write twice": (lambda told: told["writes"].append(told["writes"][0]), WRITES),
    "a confirmation of nothing": (lambda told: told["writes"].clear(), WRITES),
    "an alarm": (lambda told: told["alarms"].append("panicked"), "nothing alarming was said"),
    "editions that nobody used": (lambda told: told.update(editions=9), "the last edition is in force"),
    "a last edition without effect": (lambda told: told.update(last_edit=at(10)), "the last edition is in force"),
}

# What the brute force must say of two days around changes of the clock, and in zones off the hour.
PATTERNS = (
    ("*/20 * * * * *", "UTC", "2026-11-21T06:00:00", 60, [20, 40, 60]),
    ("1-59/2 * * * * *", "Europe/Oslo", "2026-11-21T06:00:00", 4, [1, 3]),
    ("0 */2 * * * *", "Asia/Kathmandu", "2026-11-21T06:00:00", 240, [60, 180]),
    ("0 1-59/2 * * * *", "Asia/Kolkata", "2026-11-21T06:00:00", 240, [60, 180]),
    ("0 30 1 * * *", "America/New_York", "2026-11-21T06:00:00", 86_400, [1800]),
    ("5 0 6 21 11 *", "UTC", "2026-11-21T06:00:00", 86_400, [5]),
    ("5 0 6 * * 6", "UTC", "2026-11-21T06:00:00", 86_400, [5]),
)


def found(fault=None, tell=None):
    """The checks that fail after a fault was planted."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "history.db"
        with contextlib.closing(sqlite3.connect(path)) as database:
            for migration in sorted(MIGRATIONS.glob("*.sql")):
                database.executescript(migration.read_text(encoding="utf-8"))
            for statement in healthy() + ([fault] if fault else []):
                database.execute(*((statement,) if isinstance(statement, str) else statement))
            database.commit()
        told = story()
        if tell:
            tell(told)
        list(judge.figures(told, path))
        return {check.replace("_", " ") for check, problems in judge.judge(told, path).items() if problems}


def run_all():
    yield "a healthy history", found(), set()
    for what, (fault, *checks) in FAULTS.items():
        yield what, found(fault), set(checks)
    for what, (tell, *checks) in TOLD.items():
        yield what, found(tell=tell), set(checks)
    for pattern, zone, begin, seconds, expected in PATTERNS:
        start = int(datetime.datetime.fromisoformat(begin + "+00:00").timestamp())
        stretch = {
            "schedule": {"cron": pattern, "zone": zone},
            "from": [start * 1000] * 2,
            "to": [(start + seconds) * 1000] * 2,
        }
        must, may = moments.expected([stretch], {})
        assert must == may
        yield f"{pattern} in {zone}", sorted(moment // 1000 - start for moment in must), expected


def main():
    """The exit code."""
    passed, failed = 0, 0
    for what, got, wanted in run_all():
        if got == wanted:
            passed += 1
            print(f"ok      {what}: {', '.join(sorted(map(str, got))) or 'nothing to find'}")
        else:
            failed += 1
            print(f"FAILED  {what}: found {got}, and should have found {wanted}")
    print(f"soak, the judge: {passed} passed, {failed} failed")
    return 1 if failed else 0
