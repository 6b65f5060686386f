// The log of a run: follows its end while it grows, loads earlier lines on demand, keeps a bounded number in the page.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("logs");
  if (!box) return;
  const MOST = 5000;
  const search = document.querySelector("[data-logs-search]"), level = document.querySelector("[data-logs-level]");
  const follow = document.querySelector("[data-logs-follow]");
  let lastId = null, firstId = null, tag = null, turn = 0, over = false, earlier = false, following = true;

  const query = (more) => {
    const asked = new URLSearchParams(more);
    if (search.value.trim()) asked.set("search", search.value.trim());
    if (level.value) asked.set("level", level.value);
    return `${box.dataset.address}?${asked}`;
  };
  function words(text, wanted) {
    const span = document.createElement("span");
    const at = wanted ? text.toLowerCase().indexOf(wanted.toLowerCase()) : -1;
    if (at < 0) { span.textContent = text; return span; }
    const mark = document.createElement("mark");
    mark.textContent = text.slice(at, at + wanted.length);
    span.append(text.slice(0, at), mark, text.slice(at + wanted.length));
    return span;
  }
  function tellTime(time) {
    const when = new Date(time.dateTime);
    time.textContent = Orchestrator.clock(when);
    time.title = `${Orchestrator.absolute(when)} · ${time.dataset.logger}`;
  }
  function line([id, at, number, name, logger, message]) {
    const row = document.createElement("div");
    row.className = `log log-${Math.floor(number / 10) * 10}`;
    row.dataset.id = id;
    const time = document.createElement("time"), kind = document.createElement("b");
    time.dateTime = new Date(at).toISOString();
    time.dataset.style = "clock";
    time.dataset.logger = logger;
    tellTime(time);
    kind.textContent = name;
    row.append(time, kind, words(message, search.value.trim()));
    return row;
  }
  function note(text, action) {
    const old = box.querySelector(action ? ".logs-earlier" : ".logs-none");
    if (!text) { old?.remove(); return; }
    if (old) return;
    const made = document.createElement("div");
    made.className = "logs-note " + (action ? "logs-earlier" : "logs-none");
    if (action) { const button = document.createElement("button"); button.type = "button"; button.className = "btn btn-sm"; button.textContent = text; button.addEventListener("click", action); made.append(button); } else made.textContent = text;
    box.prepend(made);
  }
  function toEnd() { if (following) box.scrollTop = box.scrollHeight; }
  function setFollow(on) { following = on; follow.setAttribute("aria-pressed", on); follow.classList.toggle("btn-primary", on); }
  function settle() {
    note(earlier ? "Load earlier lines" : "", loadEarlier);
    note(box.querySelector(".log") ? "" : search.value || level.value ? "No line fits." : over ? "The run wrote no log." : "No line yet.");
  }
  function append(lines) {
    if (!lines.length) return;
    note("");
    box.append(...lines.map(line));
    lastId = lines[lines.length - 1][0];
    firstId ??= lines[0][0];
    const rows = box.getElementsByClassName("log");
    if (following && rows.length > MOST) {
      while (rows.length > MOST) rows[0].remove();
      firstId = rows[0].dataset.id; earlier = true;
    }
    toEnd();
  }
  async function loadEarlier() {
    const answer = await Orchestrator.fetchJson(query({ before: firstId }));
    if (!answer) return;
    setFollow(false);
    const height = box.scrollHeight, first = box.querySelector(".log");
    answer.data.lines.map(line).forEach((row) => box.insertBefore(row, first));
    if (answer.data.lines.length) firstId = answer.data.lines[0][0];
    earlier = answer.data.more;
    if (!earlier) note("", loadEarlier);
    box.scrollTop += box.scrollHeight - height;
  }
  async function poll(mine) {
    if (mine !== turn) return;
    let wait = over ? 5000 : 1000;
    if (!document.hidden) {
      const fresh = lastId === null;
      const answer = await Orchestrator.fetchJson(query(fresh ? {} : { after: lastId }), tag);
      if (mine !== turn) return;
      if (answer) {
        tag = answer.tag;
        over = answer.data.over;
        if (answer.data.lines.length) tag = null;
        append(answer.data.lines);
        if (fresh) earlier = answer.data.more; else if (answer.data.more) wait = 0;
        settle();
      }
    }
    setTimeout(() => poll(mine), wait);
  }
  function restart() {
    turn += 1; lastId = firstId = tag = null; earlier = false;
    box.replaceChildren();
    poll(turn);
  }
  let typing;
  search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(restart, 250); });
  level.addEventListener("change", restart);
  follow.addEventListener("click", () => { setFollow(!following); toEnd(); });
  box.addEventListener("scroll", () => {
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
    if (following !== atEnd) setFollow(atEnd);
  }, { passive: true });
  document.addEventListener("orchestrator:preferences", () => box.querySelectorAll("time").forEach(tellTime));
  setFollow(true);
  restart();
});
