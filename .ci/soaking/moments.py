"""Scheduled moments by brute force: every second is looked at, and asked whether the pattern names it.

Nothing here is taken from the program; it would repeat its mistakes and call them right. Times are milliseconds since
1970, as in the history."""

import datetime
import zoneinfo

# second, minute, hour, day, month, weekday
BOUNDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def _field(text, least, most):
    """The values that one field names: `*`, `*/n`, `a`, `a-b`, `a-b/n`, and lists of these."""
    named = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{least}-{most}" if span == "*" else span).partition("-")
        named.update(range(int(first), int(last or first) + 1, int(step or 1)))
    assert named and min(named) >= least and max(named) <= most, text
    return named


class Cron:
    """A pattern of six fields in a zone. Day and weekday may not both be narrowed: what that means is not for here."""

    def __init__(self, text, zone):
        fields = text.split()
        assert len(fields) == 6 and "*" in (fields[3], fields[5]), text
        self.named = [_field(field, *bounds) for field, bounds in zip(fields, BOUNDS)]
        self.zone = zoneinfo.ZoneInfo(zone)

    def names(self, second):
        at = datetime.datetime.fromtimestamp(second, self.zone)
        read = (at.second, at.minute, at.hour, at.day, at.month, at.isoweekday() % 7)
        return all(value in named for value, named in zip(read, self.named))

    def moments(self, stretch, _rows):
        begin, end = stretch["from"][0] // 1000, stretch["to"][1] // 1000
        return {second * 1000 for second in range(begin + 1, end + 1) if self.names(second)}


class Every:
    """A period since the first run: the first row says where the grid lies, and must be there at once."""

    def __init__(self, seconds):
        self.step = seconds * 1000

    def moments(self, stretch, rows):
        (begin, sure), (_, end) = stretch["from"], stretch["to"]
        anchor = min((row for row in rows if begin <= row <= end), default=sure)
        return set(range(anchor if anchor <= sure + self.step else sure, end + 1, self.step))


def schedule(written):
    """What a job's settings say: `{"cron": …, "zone": …}` or `{"every": seconds}`."""
    return Cron(written["cron"], written["zone"]) if "cron" in written else Every(written["every"])


def expected(stretches, rows):
    """The moments that must have a row, and those that may have one.

    A stretch is a time in which a job had one schedule. When it was edited is known to the instant at which the file
    was touched and that at which the service had it; what lies between may go either way."""
    must, may = set(), set()
    for stretch in stretches:
        plan = schedule(stretch["schedule"])
        possible = plan.moments(stretch, rows)
        may |= possible
        must |= {moment for moment in possible if stretch["from"][1] < moment <= stretch["to"][0]}
    return must, may


def shown(moment):
    at = datetime.datetime.fromtimestamp(moment / 1000, datetime.timezone.utc)
    return at.strftime("%H:%M:%S.%f")[:-3] + "Z"
