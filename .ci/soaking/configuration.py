"""Twenty jobs, and five ways of writing a file that says so.

The file begins as the one that the sandbox wrote; its jobs are replaced. What is written is remembered as an edition:
the settings of each job. One job lives in a drop-in."""

import os

UTC = "UTC"
SECOND, OTHER = "* * * * * *", "*/2 * * * * *"
DEPARTMENTS = ("Sales", "Research", "Support", "Finance")  # whose jobs write

IN_PLACE, RENAME, SED, SYMLINK, DROP_IN = WAYS = ("in place", "rename over", "sed -i", "symlink swap", "drop-in")


def cron(text, zone=UTC, **more):
    return {"schedule": text, "timezone": zone, **more}


def every(seconds, **more):
    return {"every": f"{seconds} second{'s' * (seconds > 1)}", **more}


def managers(settings, **more):
    return {"kind": "managers", "timeout": "300 seconds", **settings, **more}


def jobs():
    """The twenty, by name. All of them a second or two apart; in Kathmandu an hour begins at a quarter past."""
    department = lambda name: {"mode": "apply", "scope": {"search": f'profile.department eq "{name}"'}}
    lifted = {"brake": {kind: "100%" for kind in ("set", "change", "clear")}}
    every_one = {
        "m-sales": managers(cron(SECOND), **department("Sales"), **lifted),
        "m-research": managers(cron(OTHER), **department("Research"), **lifted),
        "m-support": managers(every(2), **department("Support"), **lifted),
        "m-finance": managers(cron("1-59/2 * * * * *", catch_up="skip"), **department("Finance"), **lifted),
        "m-group": managers(cron(OTHER, "America/New_York"), scope={"group": "the one"}),
        "m-all": managers(cron(SECOND)),
        "l-second": cron(SECOND),
        "l-other": cron("1-59/2 * * * * *", "Europe/Oslo"),
        "l-every": every(1),
        "l-hours": cron("*/2 */2 * * * *", "Asia/Kathmandu"),
        "l-all": cron(SECOND, catch_up="all", catch_up_within="10 seconds"),
        "l-leaves": cron(SECOND),
        "k-second": cron(SECOND),
        "k-other": cron(OTHER),
        "k-every": every(2),
        "k-jitter": cron(OTHER, jitter="1 second"),
        "k-hours": cron("* 1-59/2 * * * *", "Asia/Kolkata", catch_up="skip"),
        "k-changes": cron(SECOND, catch_up="all", catch_up_within="4 seconds"),
        "k-leaves": cron(OTHER, "America/New_York"),
        "k-drop-in": cron(OTHER, catch_up_within="3 seconds"),
    }
    for name, settings in every_one.items():
        if name[0] in "lk":
            settings.setdefault("kind", "licenses" if name[0] == "l" else "keepalive")
            settings.setdefault("timeout", "60 seconds")
    return every_one


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def schedule(settings):
    """A job's schedule as the judge reads it."""
    if "every" in settings:
        return {"every": int(settings["every"].split()[0])}
    return {"cron": settings["schedule"], "zone": settings["timezone"]}


class Configuration:
    """The file, its drop-in, and what they say just now."""

    def __init__(self, file):
        self.file, self.directory = file, file.parent
        self.drop_in = file.with_suffix(".d") / "50-soak.toml"
        self.drop_in.parent.mkdir()
        text = file.read_text(encoding="utf-8")
        self.head, self.common, group = self._parts(text)
        self.jobs = jobs()
        self.jobs["m-group"]["scope"]["group"] = group
        self.overrides = {}
        self.edition = 0
        self.patience = 30
        self.place(IN_PLACE)
        self.place(DROP_IN)

    @staticmethod
    def _parts(text):
        """Everything before the jobs; the keys that all managers jobs share; the id of the group."""
        head, _, rest = text.partition("[jobs.managers]")
        body = rest.partition("[jobs.")[0].splitlines()
        own = ("kind", "schedule", "mode", "scope", "brake")
        group = next(line for line in body if line.startswith("scope")).split('"')[1]
        return head, "\n".join(line for line in body if line.split(" = ")[0] not in own), group

    def main(self):
        """The text of the file."""
        parts = [f"# edition {self.edition}", self.head, f'[http]\ntimeout = "{self.patience} seconds"\n']
        parts += [self.job(name, settings) for name, settings in self.jobs.items() if name != "k-drop-in"]
        return "\n".join(parts)

    def extra(self):
        """The text of the drop-in."""
        parts = [f"# edition {self.edition}"]
        parts += [f'[jobs.{name}]\ntimeout = "{seconds} seconds"\n' for name, seconds in self.overrides.items()]
        if "k-drop-in" in self.jobs:
            parts.append(self.job("k-drop-in", self.jobs["k-drop-in"]))
        return "\n".join(parts)

    def job(self, name, settings):
        lines = [f"[jobs.{name}]"] + [f"{key} = {toml(value)}" for key, value in settings.items()]
        if settings["kind"] == "managers":
            lines.append(self.common)
        return "\n".join(lines) + "\n"

    def place(self, way, text=None):
        """Writes the edition, or another text in its stead, in one of the five ways."""
        self.edition += 1
        if way == DROP_IN and text is None and "k-drop-in" not in self.jobs and not self.overrides:
            self.drop_in.unlink()
            return
        if way == DROP_IN:
            write = self._in_place if self.edition % 2 else self._rename
            write(self.drop_in, self.extra() if text is None else text)
            return
        write = {IN_PLACE: self._in_place, RENAME: self._rename, SED: self._sed, SYMLINK: self._symlink}[way]
        write(self.file, self.main() if text is None else text)

    @staticmethod
    def _in_place(file, text):
        """Through whatever link is there, in two pieces: a reader may come between them."""
        with open(file, "w", encoding="utf-8") as out:
            out.write(text[: len(text) // 2])
            out.flush()
            os.fsync(out.fileno())
            out.write(text[len(text) // 2 :])

    @staticmethod
    def _rename(file, text):
        """As vim and careful programs do."""
        draft = file.with_name(f".{file.name}.swp")
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, file)

    @staticmethod
    def _sed(file, text):
        """As `sed -i` does: a file of another name beside it, with the old one's mode, and a rename."""
        draft = file.with_name("sedk3nB9x")
        draft.write_text(text, encoding="utf-8")
        draft.chmod(0o644)
        os.replace(draft, file)

    def _symlink(self, file, text):
        """As Kubernetes does: a directory an edition, `..data` leads to the newest, and the file into `..data`."""
        edition = self.directory / f"..{self.edition}"
        edition.mkdir()
        (edition / file.name).write_text(text, encoding="utf-8")
        self._link(edition.name, self.directory / "..data")
        if not file.is_symlink():
            self._link(f"..data/{file.name}", file)

    @staticmethod
    def _link(target, link):
        draft = link.with_name("..data_tmp")
        draft.symlink_to(target)
        os.replace(draft, link)

    def smash(self, way, dice):
        """Makes the file wrong in one of the ways in which files go wrong, or away. Says in which."""
        file, text = (self.drop_in, self.extra()) if way == DROP_IN else (self.file, self.main())
        how = (
            dice.choice(("gone", "half", "twice", "misspelt")) if way != DROP_IN else dice.choice(("half", "misspelt"))
        )
        if how == "gone":
            file.unlink()
            return how
        half = text[: len(text) // 2].rpartition("\n")[0] + '\n[jobs."'
        self.place(way, {"half": half, "twice": text + text, "misspelt": text + "\nshedule = 1\n"}[how])
        return how

    def idle(self, minute):
        """All jobs hourly, at this minute."""
        for settings in self.jobs.values():
            settings.pop("every", None)
            settings["schedule"], settings["timezone"] = f"0 {minute} * * * *", UTC
        self.place(RENAME)
        self.place(DROP_IN)
