// The timeline of a run's tasks. Only the rows in view are in the page, so thousands of tasks cost what thirty do.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const box = document.getElementById("timeline");
  if (!box) return;
  const ROW = 28, SPARE = 8, TICKS = 6;
  const ID = 0, NAME = 1, TYPE = 2, STATE = 3, START = 4, END = 5, ATTEMPT = 6;
  const axis = box.querySelector(".timeline-axis"), body = box.querySelector(".timeline-body");
  const icons = JSON.parse(box.dataset.icons);
  const count = document.querySelector("[data-timeline-count]"), none = document.querySelector("[data-timeline-empty]");
  const search = document.querySelector("[data-timeline-search]");
  const known = new Map();
  let run = { start: null, end: null, over: false }, since = null, shown = [], tag = null, low = 0, high = 1, drawn = new Map();

  function order() {
    const wanted = search.value.trim().toLowerCase();
    shown = [...known.values()].filter((task) => !wanted || task[NAME].toLowerCase().includes(wanted))
      .sort((a, b) => (a[START] ?? Infinity) - (b[START] ?? Infinity) || (a[ID] < b[ID] ? -1 : 1));
    count.textContent = known.size ? `${shown.length === known.size ? "" : shown.length + " of "}${known.size}` : "";
    box.hidden = !known.size;
    none.hidden = !!known.size;
    body.style.height = `${shown.length * ROW}px`;
  }
  function bounds() {
    let first = Infinity, last = -Infinity;
    for (const task of known.values()) {
      if (task[START] !== null) { first = Math.min(first, task[START]); last = Math.max(last, task[END] ?? task[START]); }
    }
    const busy = !run.over || [...known.values()].some((task) => task[START] !== null && task[END] === null);
    low = Math.min(run.start ?? first, first);
    high = Math.max(last, run.end ?? -Infinity, busy && !run.over ? Orchestrator.now() : -Infinity);
    if (!isFinite(low)) { low = Orchestrator.now() - 1000; high = low + 1000; }
    if (high - low < 50) high = low + 50;
  }
  function drawAxis() {
    const span = high - low;
    axis.replaceChildren(...Array.from({ length: TICKS }, (_, index) => {
      const mark = document.createElement("span");
      const part = index / (TICKS - 1);
      mark.style.left = `calc(var(--names) + (100% - var(--names) - 1rem) * ${part})`;
      mark.textContent = index === 0 ? Orchestrator.clock(new Date(low)) : "+" + Orchestrator.span(span * part);
      return mark;
    }));
    if (box.clientWidth < 520) [...axis.children].slice(1, -1).forEach((mark) => mark.remove());
  }
  function element() {
    const row = document.createElement("div");
    row.className = "task";
    row.setAttribute("role", "listitem");
    row.innerHTML = '<div class="task-name"><i></i><span></span></div><div class="task-lane"><div class="task-bar"></div><div class="task-long"></div></div>';
    return row;
  }
  function fill(row, task, index) {
    const late = task[TYPE] === "SCHEDULED" && task[STATE] === "Late";
    const [css, icon] = icons[late ? "LATE" : task[TYPE]];
    row.className = `task state-${css}`;
    row.style.top = `${index * ROW}px`;
    const [name, lane] = row.children, [bar, long] = lane.children;
    if (row.dataset.icon !== css) { name.firstChild.innerHTML = icon; row.dataset.icon = css; }
    name.lastChild.textContent = task[NAME];
    const width = high - low, begun = task[START] !== null, end = task[END] ?? (run.over ? task[START] : Orchestrator.now());
    bar.hidden = !begun;
    long.textContent = begun ? Orchestrator.span(end - task[START]) : task[STATE];
    const left = begun ? (task[START] - low) / width * 100 : 0, size = begun ? Math.max(end - task[START], 0) / width * 100 : 0;
    bar.style.left = `${left}%`;
    bar.style.width = `${size}%`;
    bar.className = `task-bar${task[END] === null && !run.over ? " live" : ""}${late ? " hatched" : ""}`;
    const after = left + size < 82;
    long.style.left = after ? `calc(${left + size}% + 2px)` : "auto";
    long.style.right = after ? "auto" : `calc(${100 - left}% + 2px)`;
    row.title = `${task[NAME]}: ${task[STATE]}${begun ? ", " + long.textContent + " from " + Orchestrator.absolute(new Date(task[START])) : ""}${task[ATTEMPT] > 1 ? ", attempt " + task[ATTEMPT] : ""}`;
    row.setAttribute("aria-label", row.title);
  }
  function draw() {
    const first = Math.max(Math.floor(box.scrollTop / ROW) - SPARE, 0);
    const last = Math.min(Math.ceil((box.scrollTop + box.clientHeight) / ROW) + SPARE, shown.length);
    const wanted = new Map(shown.slice(first, last).map((task, index) => [task[ID], [task, first + index]]));
    for (const [id, row] of drawn) if (!wanted.has(id)) { row.remove(); drawn.delete(id); }
    for (const [id, [task, index]] of wanted) {
      let row = drawn.get(id);
      if (!row) { row = element(); drawn.set(id, row); body.append(row); }
      fill(row, task, index);
    }
  }
  function all() { bounds(); order(); drawAxis(); draw(); }
  async function poll() {
    if (!document.hidden) {
      const address = box.dataset.address + (since ? `?since=${encodeURIComponent(since)}` : "");
      const answer = await Orchestrator.fetchJson(address, tag);
      if (answer) {
        tag = answer.tag;
        run = answer.data.run;
        for (const task of answer.data.tasks) known.set(task[ID], task);
        if (answer.data.since && answer.data.since !== since) { since = answer.data.since; tag = null; }
        all();
      } else if (!run.over && known.size) { bounds(); drawAxis(); draw(); }
    }
    setTimeout(poll, run.over ? 5000 : 1000);
  }
  box.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  search.addEventListener("input", all);
  new ResizeObserver(() => { drawAxis(); draw(); }).observe(box);
  document.addEventListener("orchestrator:preferences", all);
  poll();
});
