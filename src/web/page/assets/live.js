// What moves on the page: countdowns, ages, and the parts that a run changes. Without it everything is there, and still.
"use strict";

(() => {
  const root = document.documentElement;
  // The service's clock rules: that of this machine may be off.
  const ahead = Date.parse(root.dataset.now) - Date.now();
  const now = () => Date.now() + ahead;

  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  // What is still to come, in its two largest units: `4 h 12 min`, `12 s`.
  const fine = (seconds) => {
    const first = UNITS.findIndex(([, size]) => seconds >= size);
    const [name, size] = UNITS[first];
    const [next, part] = UNITS[first + 1] || ["", 0];
    const rest = part ? Math.floor((seconds % size) / part) : 0;
    return `${Math.floor(seconds / size)} ${name}` + (rest ? ` ${rest} ${next}` : "");
  };

  // What is past, as the service says it: one unit, the largest of which there are at least two.
  const rough = (seconds) => {
    const [unit, size] = seconds < 120 ? ["second", 1] : seconds < 7200 ? ["minute", 60]
      : seconds < 172800 ? ["hour", 3600] : ["day", 86400];
    const count = Math.floor(seconds / size);
    return count ? `${count} ${unit}${count === 1 ? "" : "s"} ago` : "now";
  };

  const tick = () => {
    for (const time of document.querySelectorAll("time[data-moves]")) {
      const left = Math.round((Date.parse(time.dateTime) - now()) / 1000);
      const due = time.dataset.moves === "down" && left > -90;
      const text = left > 0 ? `in ${fine(left)}` : due ? "due now" : rough(-left);
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // Takes the live parts from a fresh copy of this page. What is open stays open, what has the focus keeps it.
  const place = (fresh) => {
    for (const old of document.querySelectorAll("[data-live]")) {
      const part = fresh.getElementById(old.id);
      if (!part || part.isEqualNode(old)) continue;
      const within = old.contains(document.activeElement) ? document.activeElement : null;
      const mark = within && (within.id ? `#${CSS.escape(within.id)}` : within.getAttribute("href") &&
        `a[href="${CSS.escape(within.getAttribute("href"))}"]`);
      const open = new Set([...old.querySelectorAll("details[open][id]")].map((one) => one.id));
      const node = document.importNode(part, true);
      for (const one of node.querySelectorAll("details[id]")) one.open = one.open || open.has(one.id);
      node.classList.add("fresh");
      old.replaceWith(node);
      if (mark) node.querySelector(mark)?.focus({ preventScroll: true });
    }
  };

  let asked = false;
  let asking = false;
  const refresh = async () => {
    if (!document.querySelector("[data-live]")) return;
    asked = true;
    if (asking) return;
    asking = true;
    try {
      while (asked) {
        asked = false;
        const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
        if (!answer.ok) {
          // What is shown is of before; the next minute tries again.
          show("away", "Not current");
          break;
        }
        place(new DOMParser().parseFromString(await answer.text(), "text/html"));
        tick();
        if (stream?.readyState === EventSource.OPEN) show("live", "Live");
      }
    } catch {
      // The service is away; the stream comes back first, and asks again.
    } finally {
      asking = false;
    }
  };

  const shown = document.getElementById("live");
  const said = document.getElementById("said");
  const show = (state, text) => {
    shown.hidden = false;
    shown.dataset.state = state;
    if (shown.textContent !== text) shown.textContent = text;
  };

  let stream = null;
  let again = 0;
  let missed = false;

  const close = () => {
    clearTimeout(again);
    stream?.close();
    stream = null;
  };

  const open = () => {
    close();
    stream = new EventSource("/events");
    stream.addEventListener("open", () => {
      show("live", "Live");
      if (missed) refresh();
      missed = false;
    });
    stream.addEventListener("run", (event) => {
      const run = JSON.parse(event.data);
      said.textContent = run.outcome ? `${run.job}: ${run.outcome.replaceAll("_", " ")}` : `${run.job} runs`;
      refresh();
    });
    stream.addEventListener("change", refresh);
    stream.addEventListener("error", () => {
      missed = true;
      show("away", "Reconnecting");
      // A browser does not try again by itself after an answer that is no stream, such as that there are too many.
      close();
      again = setTimeout(open, 2000 + Math.random() * 2000);
    });
  };

  // A page that nobody looks at holds no connection: a browser has six for a host.
  const look = () => {
    if (document.visibilityState === "hidden") {
      close();
      missed = true;
    } else if (!stream) {
      open();
    }
  };

  tick();
  setInterval(tick, 1000);
  // Not everything is told: that nothing happens any more, or that a date passes.
  setInterval(() => { if (document.visibilityState === "visible") refresh(); }, 60000);
  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", () => { close(); missed = true; });
  window.addEventListener("pageshow", look);
  look();
})();
