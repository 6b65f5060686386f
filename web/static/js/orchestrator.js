// What every page does: times in the reader's zone, preferences, live parts, keyboard, copying, questions, toasts.
"use strict";

const Orchestrator = (() => {
  const root = document.documentElement;
  const stored = {
    get(key, fallback) { try { return localStorage.getItem("orchestrator." + key) || fallback; } catch { return fallback; } },
    set(key, value) { try { localStorage.setItem("orchestrator." + key, value); } catch { /* private window: kept for this page only */ } },
  };
  const skew = Date.parse(document.querySelector("meta[name=server-time]").content) - Date.now();
  const now = () => Date.now() + skew;
  const csrf = document.querySelector("meta[name=csrf-token]").content;

  // ------------------------------------------------------------------ times
  function zone() {
    const chosen = stored.get("zone", "auto");
    return chosen === "auto" ? Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC" : chosen;
  }
  let formats = {};
  function format(name, options) {
    const key = name + zone();
    return (formats[key] ||= new Intl.DateTimeFormat("en-GB", { timeZone: zone(), hourCycle: "h23", ...options }));
  }
  function zoneName(at) {
    const parts = format("zone", { timeZoneName: "short", hour: "2-digit" }).formatToParts(at);
    return parts.find((part) => part.type === "timeZoneName").value;
  }
  const day = (at) => format("day", { year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(at)
    .reduce((all, part) => ({ ...all, [part.type]: part.value }), {});
  const clock = (at, seconds = true) => format(seconds ? "clock" : "minutes", { hour: "2-digit", minute: "2-digit", ...(seconds && { second: "2-digit" }) }).format(at);
  function date(at) { const d = day(at); return `${d.year}-${d.month}-${d.day}`; }
  function absolute(at) { return `${date(at)} ${clock(at)} ${zoneName(at)}`; }
  function brief(at) { return date(at) === date(new Date(now())) ? `${clock(at)} ${zoneName(at)}` : `${date(at)} ${clock(at, false)} ${zoneName(at)}`; }
  // Of what is only about so.
  function minute(at) { return `${date(at) === date(new Date(now())) ? "" : date(at) + " "}${clock(at, false)}`; }
  function relative(at) {
    const seconds = (at - now()) / 1000, size = Math.abs(seconds);
    if (size < 5) return "now";
    const [unit, length] = size < 60 ? ["s", 1] : size < 3600 ? ["min", 60] : size < 86400 ? ["h", 3600] : ["d", 86400];
    const text = `${Math.round(size / length)} ${unit}`;
    return seconds < 0 ? `${text} ago` : `in ${text}`;
  }
  function span(ms) {
    const s = Math.max(ms, 0) / 1000;
    if (s < 1) return `${Math.round(s * 1000)} ms`;
    if (s < 60) return `${s.toFixed(1)} s`;
    const m = Math.floor(s / 60);
    if (m < 60) return `${m} m ${String(Math.floor(s % 60)).padStart(2, "0")} s`;
    const h = Math.floor(m / 60);
    return h < 24 ? `${h} h ${String(m % 60).padStart(2, "0")} m` : `${Math.floor(h / 24)} d ${h % 24} h`;
  }
  function set(node, text) { if (node.textContent !== text) node.textContent = text; }
  function tell(node) {
    if (node.dataset.style === "clock") return;
    const at = new Date(node.dateTime);
    const style = node.dataset.style === "relative" ? stored.get("times", "relative") : node.dataset.style;
    set(node, style === "both" ? `${absolute(at)} (${relative(at)})` : style === "relative" ? relative(at) : node.dataset.style === "absolute" ? absolute(at) : node.dataset.style === "minute" ? minute(at) : brief(at));
    node.title = style === "relative" ? `${absolute(at)} (${zone()})` : `${relative(at)} (${zone()})`;
  }
  function paint(within = document) {
    within.querySelectorAll("time[datetime]").forEach(tell);
    within.querySelectorAll("[data-since]").forEach((node) => set(node, span(now() - Date.parse(node.dataset.since))));
    within.querySelectorAll("[data-cron]").forEach((node) => {
      try { set(node, cronstrue.toString(node.dataset.cron, { use24HourTimeFormat: true, verbose: false })); } catch { set(node, node.dataset.cron); }
      node.title = node.dataset.cron;
    });
    document.querySelectorAll("[data-zone-name]").forEach((node) => set(node, zone()));
  }
  // The instant of a wall-clock time ("2026-03-29T02:30") in the chosen zone; of two, the first.
  function instant(wall) {
    const guess = Date.parse(wall + (wall.length === 16 ? ":00Z" : "Z"));
    const offset = (at) => {
      const p = new Intl.DateTimeFormat("en-US", { timeZone: zone(), hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" })
        .formatToParts(at).reduce((all, part) => ({ ...all, [part.type]: part.value }), {});
      return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - at;
    };
    const first = guess - offset(guess);
    return new Date(guess - offset(first));
  }

  // ------------------------------------------------------------ preferences
  function applyTheme() {
    const wish = stored.get("theme", "auto");
    root.dataset.bsTheme = wish === "auto" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : wish;
    document.dispatchEvent(new CustomEvent("orchestrator:theme"));
  }
  function preferences() {
    const zones = document.getElementById("pref-zone");
    if (zones && Intl.supportedValuesOf) for (const name of Intl.supportedValuesOf("timeZone")) if (name !== "UTC") zones.add(new Option(name));
    document.querySelectorAll("[data-preference]").forEach((field) => {
      field.value = stored.get(field.dataset.preference, field.options[0].value);
      field.addEventListener("change", () => {
        stored.set(field.dataset.preference, field.value);
        formats = {};
        applyTheme();
        paint();
        document.dispatchEvent(new CustomEvent("orchestrator:preferences"));
      });
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", applyTheme);
  }

  // ------------------------------------------------------------- live parts
  function liveParts() {
    Idiomorph.defaults.callbacks.beforeNodeMorphed = (old, fresh) => {
      if (old.nodeType !== 1) return true;
      if (old === document.activeElement && old.matches("input, textarea, select")) return false; // somebody types here
      if (old.tagName === "TIME" && old.dateTime === fresh.dateTime) return false;
      if (old.hasAttribute("data-cron") && old.dataset.cron === fresh.dataset?.cron) return false;
      if (old.hasAttribute("data-since") && old.dataset.since === fresh.dataset?.since) return false;
      return !old.hasAttribute("data-keep");
    };
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node, kind) =>
      !(kind === "remove" && (name === "title" && node.tagName === "TIME" || name === "open" || name === "style" || name === "aria-expanded"))
      && !(name === "class" && node.classList.contains("show"));
    const body = document.body;
    body.addEventListener("htmx:configRequest", (event) => {
      event.detail.headers["X-CSRF-Token"] = csrf;
      const tag = event.target.dataset.etag;
      if (tag && event.detail.verb === "get") event.detail.headers["If-None-Match"] = tag;
    });
    body.addEventListener("htmx:beforeRequest", (event) => {
      const polling = event.target.id === "live" && !event.detail.requestConfig.triggeringEvent;
      if (polling && document.hidden) event.preventDefault();
    });
    body.addEventListener("htmx:afterRequest", (event) => {
      const xhr = event.detail.xhr;
      if (event.target.id === "live") {
        offline(xhr.status === 0 || xhr.status >= 502);
        const tag = xhr.getResponseHeader("ETag");
        if (tag) event.target.dataset.etag = tag;
      } else if (xhr.status >= 400) toast(xhr.responseText || "That did not work.", "danger");
    });
    body.addEventListener("htmx:afterSettle", (event) => {
      paint(event.target);
      document.dispatchEvent(new CustomEvent("orchestrator:live"));
    });
    body.addEventListener("orchestrator:toast", (event) => toast(event.detail.text, event.detail.kind));
    setInterval(() => document.hidden || paint(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || htmx.trigger(body, "orchestrator:refresh"));
  }
  function offline(away) { const bar = document.getElementById("offline"); if (bar) bar.hidden = !away; }
  // Fetch JSON; null when nothing changed since `tag`, or the server is away (the bar says so).
  async function fetchJson(address, tag) {
    try {
      const answer = await fetch(address, { cache: "no-store", headers: { "HX-Request": "true", ...(tag && { "If-None-Match": tag }) } });
      const elsewhere = answer.headers.get("HX-Redirect");
      if (elsewhere) location.assign(elsewhere);
      offline(answer.status >= 502);
      return answer.ok ? { data: await answer.json(), tag: answer.headers.get("ETag") } : null;
    } catch { offline(true); return null; }
  }

  // ----------------------------------------------------- toasts, copy, asks
  function toast(text, kind = "success") {
    const note = document.createElement("div");
    note.className = "toast-note " + kind;
    note.textContent = text;
    document.getElementById("toasts").append(note);
    setTimeout(() => note.remove(), kind === "danger" ? 9000 : 4500);
  }
  async function copy(text) {
    try { await navigator.clipboard.writeText(text); } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
    }
    toast("Copied");
  }
  function ask(form, go) {
    const dialog = document.getElementById("confirm");
    dialog.querySelector("h2").textContent = form.dataset.confirm;
    dialog.querySelector("[data-confirm-yes]").textContent = form.dataset.confirmLabel || "Yes";
    dialog.addEventListener("close", () => dialog.returnValue === "yes" && go(), { once: true });
    dialog.returnValue = "";
    dialog.showModal();
  }
  function clicks() {
    document.addEventListener("click", (event) => {
      const copied = event.target.closest("[data-copy]");
      if (copied) copy(copied.dataset.copy);
      const opener = event.target.closest("[data-open]");
      if (opener) document.getElementById(opener.dataset.open).showModal();
      event.target.closest("[data-close]")?.closest("dialog").close();
    });
    document.body.addEventListener("htmx:confirm", (event) => {
      const form = event.target.closest("form[data-confirm]");
      if (!form) return;
      event.preventDefault();
      ask(form, () => event.detail.issueRequest(true));
    });
    document.addEventListener("change", (event) => {
      if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
    });
  }

  // --------------------------------------------------------------- keyboard
  function keyboard() {
    let going = false;
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.closest("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]")) return;
      const room = going && document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      going = event.key === "g";
      if (room) { event.preventDefault(); room.click(); return; }
      if (event.key === "/") { const search = document.querySelector("[data-search]"); if (search) { event.preventDefault(); search.focus(); search.select(); } }
      if (event.key === "?") document.getElementById("keys")?.showModal();
      if (event.key === "c") document.querySelector("[data-copy-id]")?.click();
    });
  }

  function start() {
    preferences(); applyTheme(); liveParts(); clicks(); keyboard(); paint();
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start); else start();
  return { now, zone, clock, date, absolute, brief, minute, relative, span, instant, paint, toast, fetchJson, csrf, stored };
})();
