// The schedules of a deployment: a row each, with what it means in words and when it would fire next.
"use strict";

class ScheduleRows {
  static BOUNDS = ["start", "end", "calendar", "skip_dates"];
  static TEXTS = [...ScheduleRows.BOUNDS, "jitter", "catch_up", "note"];
  static LABELS = { cron: ["Cron line", "30 2 * * *"], interval: ["How often", "1h30m, 90s, 2d"], rrule: ["Rule", "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9"] };

  // options: list, none (shown without any), preview (an address)
  constructor(options) {
    Object.assign(this, options);
    this.rows = [];
    this.made = 0;
    this.pattern = document.getElementById("schedule-row");
    if (Intl.supportedValuesOf) document.getElementById("zones").replaceChildren(...["UTC", ...Intl.supportedValuesOf("timeZone")].map((zone) => new Option("", zone)));
  }
  add(given = {}) {
    const node = this.pattern.content.cloneNode(true).querySelector("li"), number = ++this.made;
    const fields = Object.fromEntries([...node.querySelectorAll("[data-field]")].map((part) => [part.dataset.field, part.querySelector("input, select, textarea")]));
    for (const [name, input] of Object.entries(fields)) {
      input.id = `schedule-${name}-${number}`;
      const label = input.closest("[data-field]").querySelector("label");
      if (label) label.htmlFor = input.id;
    }
    const row = { node, fields, turn: 0, timer: null };
    const kind = given.interval !== undefined ? "interval" : given.rrule ? "rrule" : "cron";
    fields.kind.value = kind;
    fields.when.value = kind === "interval" ? ScheduleRows.length(given.interval) : given[kind] || "";
    fields.timezone.value = given.timezone || Orchestrator.zone();
    fields.slug.value = given.slug || "";
    fields.anchor.value = given.anchor || "";
    fields.day_or.checked = given.day_or === false;
    for (const name of ScheduleRows.TEXTS) fields[name].value = ScheduleRows.text(given[name]);
    fields.overlap.value = given.overlap || "allow";
    fields.pause_on_failure.checked = given.pause_on_failure === true;
    fields.parameters.value = Object.keys(given.parameters || {}).length ? JSON.stringify(given.parameters, null, 2) : "";
    fields.active.checked = given.active !== false;
    node.addEventListener("input", () => { this.settle(row); this.look(row); });
    node.querySelector("[data-remove]").addEventListener("click", () => this.remove(row));
    this.rows.push(row);
    this.list.append(node);
    this.settle(row);
    this.look(row, 0);
    this.count();
    return row;
  }
  remove(row) {
    const at = this.rows.indexOf(row);
    this.rows.splice(at, 1);
    row.node.remove();
    this.count();
    row.node.dispatchEvent(new CustomEvent("removed"));
    (this.rows[Math.min(at, this.rows.length - 1)]?.node.querySelector("[data-remove]") || document.querySelector("[data-add-schedule]")).focus();
    this.list.dispatchEvent(new Event("input", { bubbles: true }));
  }
  count() {
    this.rows.forEach((row, index) => { row.node.querySelector("legend").textContent = `Schedule ${index + 1}`; row.node.querySelector("[data-remove]").setAttribute("aria-label", `Remove schedule ${index + 1}`); });
    this.none.hidden = this.rows.length > 0;
  }
  // What belongs to the kind alone is shown for that kind alone.
  settle(row) {
    const kind = row.fields.kind.value, [label, example] = ScheduleRows.LABELS[kind];
    row.fields.when.previousElementSibling.textContent = label;
    row.fields.when.placeholder = example;
    row.fields.anchor.closest("[data-field]").hidden = kind === "cron";
    row.fields.day_or.closest("[data-field]").hidden = kind !== "cron";
  }
  times(row) {
    const { kind, when, timezone, anchor, day_or: both } = row.fields, found = { timezone: timezone.value.trim() || "UTC" };
    const text = when.value.trim();
    if (text) found[kind.value] = text;
    if (kind.value !== "cron" && anchor.value.trim()) found.anchor = anchor.value.trim();
    if (kind.value === "cron" && both.checked) found.day_or = false;
    for (const name of ScheduleRows.BOUNDS) Object.assign(found, this.given(row, name));
    return found;
  }
  // {name: what was written}, or nothing
  given(row, name) {
    const text = row.fields[name].value.trim();
    if (!text) return {};
    return { [name]: name === "skip_dates" ? text.split(/[\s,]+/).filter(Boolean) : text };
  }
  look(row, wait = 350) {
    clearTimeout(row.timer);
    const mine = ++row.turn, box = row.node.querySelector(".schedule-preview"), asked = this.times(row);
    if (!asked[row.fields.kind.value]) { box.replaceChildren(); return; }
    row.timer = setTimeout(async () => {
      const answer = await Orchestrator.fetchJson(`${this.preview}?${new URLSearchParams(asked)}`);
      if (answer && mine === row.turn && row.node.isConnected) this.show(row, asked, answer.data);
    }, wait);
  }
  show(row, asked, { times, errors }) {
    const box = row.node.querySelector(".schedule-preview");
    if (errors) { box.className = "schedule-preview wrong"; box.textContent = Object.values(errors).flat().join(" "); return; }
    box.className = "schedule-preview";
    const parts = [];
    if (asked.cron) parts.push(Object.assign(document.createElement("b"), { textContent: ScheduleRows.sentence(asked.cron) }), ", ");
    parts.push(times.length ? "next: " : "It never fires.");
    times.forEach((at, index) => {
      const time = document.createElement("time");
      time.dateTime = at;
      time.dataset.style = "brief";
      parts.push(...(index ? [", "] : []), time);
    });
    box.replaceChildren(...parts);
    Orchestrator.paint(box);
  }
  // {value: [...], errors: {"schedules.0.cron": [...]}}
  read() {
    const errors = {};
    const value = this.rows.map((row, index) => {
      const { kind, slug, parameters, active } = row.fields, found = this.times(row);
      if (!found[kind.value]) errors[`schedules.${index}.${kind.value}`] = ["Say when, or remove the schedule."];
      if (slug.value.trim()) found.slug = slug.value.trim();
      if (!active.checked) found.active = false;
      for (const name of ["jitter", "catch_up", "note"]) Object.assign(found, this.given(row, name));
      if (row.fields.overlap.value !== "allow") found.overlap = row.fields.overlap.value;
      if (row.fields.pause_on_failure.checked) found.pause_on_failure = true;
      const text = parameters.value.trim();
      if (text) try {
        found.parameters = JSON.parse(text);
        if (found.parameters === null || typeof found.parameters !== "object" || Array.isArray(found.parameters)) throw new Error("no object");
      } catch { errors[`schedules.${index}.parameters`] = ["This is no JSON object."]; }
      return found;
    });
    return { value, errors };
  }
  // The input that an error such as "schedules.0.cron" is about, or null.
  input(path) {
    const [, which, field] = path.split(".");
    const row = this.rows[/^\d+$/.test(which) ? Number(which) : this.rows.findIndex((item) => item.fields.slug.value.trim() === which)];
    if (!row) return null;
    const input = row.fields[["cron", "interval", "rrule", undefined].includes(field) ? "when" : field] || row.fields.when;
    if (input.closest("details")) input.closest("details").open = true;
    return input;
  }
  static sentence(cron) { try { return cronstrue.toString(cron, { use24HourTimeFormat: true, verbose: false }); } catch { return cron; } }
  static text(value) {
    if (Array.isArray(value)) return value.join(", ");
    return typeof value === "number" ? ScheduleRows.length(value) : value || "";
  }
  static length(seconds) {
    if (typeof seconds !== "number") return String(seconds);
    for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60]]) if (seconds % size === 0) return `${seconds / size}${unit}`;
    return Number.isInteger(seconds) ? `${seconds}s` : String(seconds);
  }
  said() {
    const words = this.rows.map(({ fields }) => (fields.kind.value === "cron" ? ScheduleRows.sentence(fields.when.value) : fields.kind.value === "interval" ? `Every ${fields.when.value}` : fields.when.value));
    return words.length > 1 ? `${words[0]} and ${words.length - 1} more` : words[0] || "None";
  }
}
