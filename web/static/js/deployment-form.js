// Making and changing a deployment: seven steps on one page. Whatever is refused, what was typed stays.
"use strict";

document.addEventListener("DOMContentLoaded", async () => {
  const form = document.getElementById("deployment-form"), places = form.dataset;
  const editing = Boolean(places.editing), hasSource = Boolean(places.source);
  const value = JSON.parse(places.value), labels = JSON.parse(places.labels);
  const by = (id) => document.getElementById(id), find = (pattern) => form.querySelector(pattern);
  const { choices, create } = BlockCreate.of(places);
  // What is chosen rather than typed: where the code lies, and which flow of it.
  const chosen = { storage: value.storage, entrypoint: value.entrypoint, flow: value.flow, schema: value.parameter_schema };
  const sender = new Errands.Sender(places, by("looking"));
  let changed = false, leaving = false, found = null;

  // ------------------------------------------------------------------ steps
  const steps = Object.fromEntries([...form.querySelectorAll(".step")].map((node) => [node.dataset.step, { node, head: node.querySelector(".step-head"), body: node.querySelector(".step-body"), said: node.querySelector("[data-said]") }]));
  const order = Object.keys(steps);
  function open(name, focus = false) {
    const step = steps[name];
    step.head.disabled = false;
    step.head.setAttribute("aria-expanded", "true");
    step.body.hidden = false;
    step.node.classList.add("open");
    if (!focus) return;
    const first = [...step.body.querySelectorAll("input, select, textarea, button")].find((item) => !item.disabled && !item.readOnly && item.type !== "hidden" && item.offsetParent);
    (first || step.head).focus({ preventScroll: true });
    step.node.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }
  function close(name) {
    const step = steps[name];
    step.head.setAttribute("aria-expanded", "false");
    step.body.hidden = true;
    step.node.classList.remove("open");
  }
  function unlock() {
    order.forEach((name, index) => { steps[name].head.disabled = index > 1 && !chosen.entrypoint || index === 1 && !found && !chosen.entrypoint; });
    by("save").disabled = !chosen.entrypoint;
    find("[data-ready-text]").hidden = Boolean(chosen.entrypoint);
  }
  function say(name, text, done = true) {
    steps[name].said.textContent = text || "";
    steps[name].node.classList.toggle("done", done && Boolean(text));
  }
  const listIn = (id) => by(id).value.split(",").map((part) => part.trim()).filter(Boolean), tagsOf = () => listIn("tags");
  const clip = (text, most = 90) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  function summaries() {
    say("code", chosen.storage ? `${labels[chosen.storage.block] || "On the agents"}${chosen.storage.path ? `: ${chosen.storage.path}` : ""}` : chosen.entrypoint ? "On the agents" : "");
    say("flow", chosen.entrypoint ? `${chosen.flow} (${chosen.entrypoint})` : "");
    say("about", by("name").value.trim());
    say("place", chosen.entrypoint ? `Queue ${by("queue").value.trim() || "?"}, ${by("infrastructure").value ? labels[by("infrastructure").value] : "a plain process"}` : "");
    const given = parameters ? Object.entries(parameters.chosen(value.parameters).value || {}) : [];
    say("parameters", chosen.entrypoint ? clip(given.map(([name, item]) => `${name}: ${typeof item === "string" ? item : JSON.stringify(item)}`).join(", ") || "The flow's defaults") : "", given.length > 0 || chosen.entrypoint !== "");
    say("schedules", chosen.entrypoint ? clip(schedules.said()) : "");
    say("told", chosen.entrypoint ? clip(told.said()) : "");
    by("results-path").closest("[data-path]").hidden = !by("results").value;
    find("[data-flow-echo]")?.replaceChildren(chosen.flow || "flow");
    find("[data-name-echo]")?.replaceChildren(by("name").value.trim() || "nightly");
  }
  form.addEventListener("click", (event) => {
    const head = event.target.closest(".step-head");
    if (head) { const name = head.closest(".step").dataset.step; (steps[name].body.hidden ? open : close)(name); }
    const next = event.target.closest("[data-next]");
    if (!next) return;
    const at = order.indexOf(next.closest(".step").dataset.step);
    if (order[at] === "flow" && !chosen.entrypoint) { Orchestrator.toast("Choose a flow first.", "danger"); steps.flow.body.querySelector("input:not(:disabled)")?.focus(); return; }
    close(order[at]);
    open(order[at + 1], true);
  });
  // Enter goes on; the form is sent by its button alone.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input")) return;
    event.preventDefault();
    const place = event.target.closest(".step"), next = place?.querySelector("[data-next]");
    if (place?.dataset.step === "code") find("[data-browse]").click(); else if (next && !editing && !event.target.closest(".schema-form")) next.click();
  });

  // ------------------------------------------------------------- code and flow
  function offer(select, blocks) {
    for (const block of blocks) {
      labels[block.id] = block.label;
      if (![...select.options].some((option) => option.value === block.id)) select.add(new Option(block.label, block.id));
    }
  }
  async function createFor(select, of) {
    const made = await create(of);
    if (made) { offer(select, [made]); select.value = made.id; select.dispatchEvent(new Event("input", { bubbles: true })); select.dispatchEvent(new Event("change")); }
    return made;
  }
  const where = () => ({ block: by("storage").value, work_queue: by("look-queue").value });
  const browser = new StorageBrowser({ box: by("browser"), sender, address: places.look, where, label: () => labels[by("storage").value] || "Storage", inspect });
  async function browse(path = "") {
    if (!by("storage").value) { mark(by("storage"), ["Choose a storage, or make one."]); by("storage").focus(); return; }
    mark(by("storage"), null);
    by("browser").hidden = true;
    await browser.open(path);
  }
  find("[data-browse]").addEventListener("click", () => browse());
  by("storage").addEventListener("change", () => { by("browser").hidden = true; mark(by("storage"), null); });
  find("[data-new-storage]").addEventListener("click", async (event) => { if (await createFor(by("storage"), "file-system")) await browse(); else event.target.focus(); });
  async function inspect(path) {
    const place = where(), seen = await sender.send(places.inspect, { ...place, path });
    if (!seen) return;
    found = { ...seen, block: place.block };
    drawFlows();
    unlock();
    if (found.flows.length) { close("code"); open("flow", true); } else { open("flow"); by("import-errors").focus(); }
  }
  function drawFlows() {
    const usable = (flow) => !editing || flow.flow === value.flow;
    const rows = found.flows.map((flow, index) => {
      const row = document.createElement("label"), radio = Object.assign(document.createElement("input"), { type: "radio", name: "flow", className: "form-check-input", value: index, disabled: !usable(flow) });
      row.className = "flow-choice";
      const text = document.createElement("div"), names = parametersOf(flow.parameter_schema);
      text.append(Object.assign(document.createElement("b"), { textContent: flow.flow }), " ", Object.assign(document.createElement("code"), { textContent: flow.entrypoint }));
      if (flow.description) text.append(Object.assign(document.createElement("div"), { className: "flow-says", textContent: flow.description }));
      text.append(Object.assign(document.createElement("div"), { className: "under", textContent: usable(flow) ? (names.length ? `Takes ${names.join(", ")}` : "Takes no parameters") : `Of another name: this deployment is of the flow ${value.flow}` }));
      row.append(radio, text);
      radio.addEventListener("change", () => take(flow));
      return row;
    });
    by("flows").replaceChildren(...rows);
    drawErrors();
    const only = found.flows.filter(usable);
    const again = only.findIndex((flow) => flow.entrypoint === chosen.entrypoint);
    const first = only.length === 1 ? only[0] : only[again];
    if (!first) { if (!only.length && !hasSource) take(null); return; }
    by("flows").querySelectorAll("input")[found.flows.indexOf(first)].checked = true;
    take(first);
  }
  const parametersOf = (schema) => Object.entries(schema.properties || {}).sort(([, one], [, other]) => (one.position ?? 0) - (other.position ?? 0)).map(([name]) => name);
  function drawErrors() {
    const box = by("import-errors"), lines = found.errors.map(({ file, message }) => {
      const line = document.createElement("li"), [what, ...looked] = message.split(/; (?=cwd: )/);
      line.append(Object.assign(document.createElement("code"), { textContent: file }), " ", what);
      if (looked.length) {
        const more = document.createElement("details");
        more.append(Object.assign(document.createElement("summary"), { textContent: "Where it was looked for" }), Object.assign(document.createElement("small"), { textContent: looked.join("; ") }));
        line.append(more);
      }
      return line;
    });
    const text = found.flows.length ? "These files could not be read:" : lines.length ? "There is no flow that can be used. These files could not be read:" : "There is no function with @flow here. Choose another folder, or a file.";
    const list = document.createElement("ul");
    list.append(...lines);
    box.replaceChildren(Object.assign(document.createElement("b"), { textContent: text }), ...(lines.length ? [list] : []), ...(found.cut ? [Object.assign(document.createElement("div"), { textContent: "There are more files than are looked at: choose a folder further down, or one file." })] : []));
    box.className = found.flows.length && !lines.length ? "calm-note" : "alert alert-warning";
    box.tabIndex = -1;
    box.hidden = found.flows.length > 0 && !lines.length && !found.cut;
  }
  // Go on with a flow: what it says of itself fills fields that nobody filled yet.
  async function take(flow) {
    Object.assign(chosen, flow ? { storage: { block: found.block, path: found.path, snapshot: null }, entrypoint: flow.entrypoint, flow: flow.flow, schema: flow.parameter_schema } : { storage: null, entrypoint: "", flow: "", schema: {} });
    changed = true;
    for (const [id, text] of [["description-text", flow?.description], ["version-text", flow?.version], ["crash-retries", flow?.crash_retries ?? 0]]) if (!by(id).dataset.typed && !editing) by(id).value = text ?? "";
    unlock();
    showCode();
    await drawParameters();
    summaries();
  }
  for (const id of ["description-text", "version-text", "crash-retries"]) { if (by(id).value && by(id).value !== "0") by(id).dataset.typed = "yes"; by(id).addEventListener("input", () => { by(id).dataset.typed = "yes"; }); }
  function showCode() {
    const { storage } = chosen, has = Boolean(chosen.entrypoint);
    by("code-now").hidden = !has;
    if (!has) return;
    find("[data-code-text]").replaceChildren(storage?.block ? `${labels[storage.block]}: ` : "On the agents' computers: ", Object.assign(document.createElement("code"), { textContent: storage?.path || (storage?.block ? "its root" : "as installed") }));
    find("[data-code-note]").textContent = storage?.snapshot ? `Snapshot ${storage.snapshot.slice(0, 12)}: a fixed copy, until another is built or other code is chosen.`
      : storage?.block ? "Fetched for every run, as it is then: what you change in that folder is used from the next run on." : "Runs use what is there when they start.";
  }
  find("[data-choose-code]").addEventListener("click", () => { by("chooser").hidden = false; by("storage").focus(); });

  // ---------------------------------------------------------------- the rest
  let parameters = null;
  const schedules = new ScheduleRows({ list: by("schedule-rows"), none: by("no-schedules"), preview: places.preview });
  const told = new NotificationRows({
    list: by("notification-rows"), none: by("no-notifications"), create: () => create("notifier"),
    choices: async () => (await choices("notifier")).blocks,
  });
  const overrides = new OverrideFields({
    box: by("overrides"), holder: by("override-fields"), names: by("override-names"), select: by("override-field"), button: find("[data-add-override]"),
    schemaOf: async (slug) => (await Orchestrator.fetchJson(places.form.replace("SLUG", encodeURIComponent(slug))))?.data.schema || null,
  });
  let typesOf = [];
  function slugOfInfrastructure() {
    const id = by("infrastructure").value;
    return id ? labels[id].split("/")[0] : typesOf.some((type) => type.slug === "process") ? "process" : "";
  }
  by("infrastructure").addEventListener("change", () => overrides.use(slugOfInfrastructure()));
  find("[data-new-infrastructure]").addEventListener("click", async (event) => { if (!await createFor(by("infrastructure"), "infrastructure")) event.target.focus(); });
  find("[data-new-results]").addEventListener("click", async (event) => { if (!await createFor(by("results"), "file-system")) event.target.focus(); });
  find("[data-add-notification]").addEventListener("click", async () => { (await told.add()).select.focus(); changed = true; summaries(); });
  find("[data-add-schedule]").addEventListener("click", () => { schedules.add().fields.when.focus(); changed = true; summaries(); });
  async function drawParameters() {
    // What was typed for another flow stays where this one takes it.
    if (parameters) {
      const kept = parameters.chosen(value.parameters).value, known = chosen.schema.properties || {};
      if (kept) by("parameters").value = JSON.stringify(Object.fromEntries(Object.entries(kept).filter(([name]) => name in known || chosen.schema.additionalProperties)), null, 2);
    }
    by("no-parameters").hidden = Boolean(Object.keys(chosen.schema.properties || {}).length) || chosen.schema.type !== "object";
    parameters = await new ParameterFields({ holder: by("parameters-form"), raw: by("parameters-json"), text: by("parameters"), mode: find("[data-json-mode]") }, { schema: chosen.schema, templates: true }).build();
    if (!by("no-parameters").hidden && !parameters.asJson) find("[data-json-mode]").hidden = true;
  }
  form.addEventListener("input", () => { changed = true; summaries(); });
  form.addEventListener("change", () => summaries());
  addEventListener("beforeunload", (event) => { if (changed && !leaving) event.preventDefault(); });

  // ------------------------------------------------------------------ saving
  function mark(input, texts) {
    const id = `${input.id}-error`, hints = (input.dataset.hints ??= input.getAttribute("aria-describedby") || "");
    by(id)?.remove();
    input.classList.toggle("is-invalid", Boolean(texts));
    if (!texts) { input.removeAttribute("aria-invalid"); if (hints) input.setAttribute("aria-describedby", hints); else input.removeAttribute("aria-describedby"); return; }
    const said = Object.assign(document.createElement("div"), { className: "invalid-feedback", textContent: texts.join(" "), id });
    said.dataset.marks = input.id;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", [id, hints].filter(Boolean).join(" "));
    (input.closest(".with-button") || input).insertAdjacentElement("afterend", said);
  }
  const INPUTS = { name: "name", version: "version-text", description: "description-text", tags: "tags", work_queue: "queue", "infrastructure.block": "infrastructure", "storage.block": "storage", "storage.path": "storage", "results.block": "results", "results.path": "results-path", crash_retries: "crash-retries", concurrency_limit: "limit", collision: "collision", labels: "required-labels" };
  // Show what is wrong, each beside its field, with the steps opened that hold them.
  function tell(errors) {
    form.querySelectorAll("[data-marks]").forEach((said) => mark(by(said.dataset.marks), null));
    const homeless = [], own = { parameters: {}, overrides: {} };
    for (const [path, texts] of Object.entries(errors)) {
      const key = Object.keys(INPUTS).find((name) => path === name || path.startsWith(`${name}.`));
      if (path.startsWith("infrastructure.overrides.")) own.overrides[path.slice(25)] = texts;
      else if (path === "parameters" || path.startsWith("parameters.")) own.parameters[path.slice(11)] = texts;
      else if (path.startsWith("schedules.") && schedules.input(path)) mark(schedules.input(path), texts);
      else if (path.startsWith("notifications.") && told.input(path)) mark(told.input(path), texts);
      else if (key) { if (key.startsWith("storage")) by("chooser").hidden = false; mark(by(INPUTS[key]), texts); }
      else if (path === "flow" || path === "entrypoint") homeless.push(["", ["Choose code, and a flow of it."]]);
      else homeless.push([path, texts]);
    }
    for (const [name, texts] of Object.entries(parameters ? parameters.tell(own.parameters) : own.parameters)) homeless.push([name, texts, "parameters"]);
    for (const [name, texts] of Object.entries(overrides.tell(own.overrides))) homeless.push([name, texts, "place"]);
    homeless.forEach(([, , step]) => step && open(step));
    form.querySelectorAll(".step [aria-invalid=true]").forEach((input) => open(input.closest(".step").dataset.step));
    const summary = find("[data-summary]"), list = document.createElement("ul");
    summary.hidden = !Object.keys(errors).length;
    if (summary.hidden) return;
    const wrong = form.querySelectorAll(".step [aria-invalid=true]");
    summary.className = "alert alert-danger";
    summary.setAttribute("role", "alert");
    list.className = "mb-0";
    for (const [name, texts] of homeless) for (const text of texts) list.append(Object.assign(document.createElement("li"), { textContent: name ? `${name}: ${text}` : text }));
    summary.replaceChildren(Object.assign(document.createElement("b"), { textContent: "It was not saved. " }), list.children.length ? list : document.createTextNode(wrong.length === 1 ? "Look at the field that is marked." : `Look at the ${wrong.length} fields that are marked.`));
    (wrong[0] || summary).focus();
    (wrong[0] || summary).scrollIntoView({ block: "center" });
  }
  function results() {
    const block = by("results").value, path = by("results-path").value.trim();
    if (block && block === value.results?.block && path === value.results.path) return value.results;
    return block ? { block, ...(path && { path }) } : null;
  }
  function read() {
    const errors = {}, put = (prefix, from) => Object.entries(from).forEach(([name, texts]) => { errors[[prefix, name].filter(Boolean).join(".")] = texts; });
    const given = parameters.chosen(value.parameters), laid = overrides.read(), times = schedules.read(), people = told.read();
    put("parameters", given.errors);
    put("infrastructure.overrides", laid.errors);
    put("", times.errors);
    put("", people.errors);
    const name = by("name").value.trim(), queue = by("queue").value.trim();
    if (!name) errors.name = ["Give it a name."];
    if (!queue) errors.work_queue = ["Say which agents take the runs."];
    const block = by("infrastructure").value || null;
    // What this form has no field for stays as it is.
    return { errors, document: {
      ...value, flow: chosen.flow, name, entrypoint: chosen.entrypoint, description: by("description-text").value, tags: by("tags").value === by("tags").defaultValue ? value.tags : tagsOf(), version: by("version-text").value.trim(),
      storage: chosen.storage, infrastructure: block || Object.keys(laid.value).length ? { block, overrides: laid.value } : null, work_queue: queue, crash_retries: Number(by("crash-retries").value),
      concurrency_limit: by("limit").value === "" ? null : Number(by("limit").value), collision: by("collision").value, labels: listIn("required-labels"),
      results: results(), notifications: people.value,
      parameters: given.value, schedules: times.value, parameter_schema: chosen.schema,
    } };
  }
  const post = (body) => fetch(form.action, { method: "POST", body: new URLSearchParams(body), headers: { "HX-Request": "true", "X-CSRF-Token": Orchestrator.csrf } });
  // Who logged in again in another tab has another token.
  async function renewToken() {
    const answer = await fetch(location.href, { cache: "no-store" });
    const token = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("meta[name=csrf-token]")?.content;
    if (answer.redirected || !token || token === Orchestrator.csrf) return false;
    Orchestrator.csrf = token;
    return true;
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { errors, document: wanted } = read();
    tell(errors);
    if (Object.keys(errors).length) return;
    by("save").disabled = true;
    try {
      const body = { document: JSON.stringify(wanted), version: form.elements.version.value };
      let answer = await post(body);
      if (answer.status === 403 && await renewToken()) answer = await post(body);
      if (answer.status === 401) { tell({ "": ["You were logged out. Log in in another tab, then press Save again: what you typed stays here."] }); return; }
      const elsewhere = answer.headers.get("HX-Redirect");
      if (elsewhere) { leaving = true; location.assign(elsewhere); return; }
      const text = await answer.text();
      let said;
      try { said = JSON.parse(text).errors; } catch { said = { "": [text || "The server refused it."] }; }
      tell(said);
    } catch { tell({ "": ["The server does not answer. Nothing was saved; try again."] }); } finally { by("save").disabled = false; }
  });

  // -------------------------------------------------------------------- start
  by("chooser").hidden = hasSource;
  for (const item of value.schedules) schedules.add(item);
  const [storages, infrastructures] = await Promise.all([choices("file-system"), choices("infrastructure")]);
  for (const [select, offered, held] of [[by("storage"), storages, value.storage?.block], [by("results"), storages, value.results?.block], [by("infrastructure"), infrastructures, value.infrastructure?.block]]) {
    offer(select, offered.blocks);
    if (held) { offer(select, [{ id: held, label: labels[held] }]); select.value = held; }
  }
  for (const item of value.notifications) await told.add(item);
  typesOf = infrastructures.types;
  overrides.value = value.infrastructure?.overrides || {};
  await overrides.use(slugOfInfrastructure());
  if (chosen.entrypoint) { showCode(); await drawParameters(); }
  unlock();
  summaries();
  open(hasSource ? "about" : "code");
  if (editing) order.slice(2).forEach((name) => open(name));
  if (location.hash.startsWith("#step-")) document.querySelector(location.hash)?.scrollIntoView();
  changed = false;
  form.dataset.ready = "";
});
