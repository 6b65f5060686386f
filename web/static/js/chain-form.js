// Making a chain: a canvas, the list of its steps and its YAML, three ways to the one document that is saved.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("chain-form"), find = (name) => form.querySelector(`[data-${name}]`);
  const drawn = document.getElementById("drawn"), written = document.getElementById("written"), yaml = document.getElementById("yaml");
  const name = document.getElementById("name"), description = document.getElementById("description"), adding = document.getElementById("adding");
  const editing = name.readOnly, schemas = new Map();
  let chain = JSON.parse(form.dataset.value), chosen = { step: "", edge: "" }, errors = new Map(), changed = false, asked = 0;

  const told = {
    choose: (step) => { chosen = { step, edge: "" }; show(); steps.focus(step); },
    edge: (from, to) => { chosen = { step: to, edge: from }; show(); steps.focus(to, "another"); },
    connect: (from, to) => { chosen = { step: to, edge: from }; if (ChainDocument.connect(chain, from, to)) alter(true); else show(); steps.focus(to, "another"); },
    changed: (shape) => alter(shape),
    rename: (from, to) => {
      ChainDocument.rename(chain, from, to);
      canvas.rename(from, to);
      chosen = { step: chosen.step === from ? to : chosen.step, edge: "" };
      alter(true);
    },
    remove: (step) => {
      const left = Object.keys(chain.steps).filter((other) => other !== step);
      ChainDocument.remove(chain, step);
      chosen = { step: "", edge: "" };
      alter(true);
      if (left.length) steps.focus(left[0]); else adding.focus();
    },
    redraw: () => { canvas.draw(chain, chosen, wrong()); },
  };
  const canvas = ChainCanvas(document.getElementById("canvas"), told, editing ? chain.name : "");
  const steps = ChainSteps(document.getElementById("step-list"), document.getElementById("chain-step"), told, schema);

  async function schema(deployment) {
    if (!schemas.has(deployment)) schemas.set(deployment, Orchestrator.fetchJson(`${form.dataset.parameters}?deployment=${encodeURIComponent(deployment)}`).then((answer) => answer?.data || { type: "object", properties: {} }));
    return schemas.get(deployment);
  }
  const wrong = () => new Set(errors.keys());
  // Something was chosen, or what is wrong is known anew.
  function show() {
    canvas.mark(chain, chosen, wrong());
    steps.draw(chain, chosen, errors);
    const number = Object.keys(chain.steps).length;
    find("none").hidden = number > 0;
    find("count").textContent = number || "";
  }
  // The document was changed; `shape`: what is drawn, too.
  function alter(shape) {
    changed = true;
    if (shape) canvas.draw(chain, chosen, wrong());
    show();
    clearTimeout(alter.timer);
    alter.timer = setTimeout(check, 250);
  }
  const post = (address, values) => fetch(address, { method: "POST", body: new URLSearchParams(values), headers: { "HX-Request": "true", "X-CSRF-Token": Orchestrator.csrf } });
  // What the server finds wrong with the steps so far; gives the document as YAML.
  async function check() {
    const number = (asked += 1);
    try {
      const answer = await post(form.dataset.check, { document: JSON.stringify(chain) });
      if (!answer.ok || number !== asked) return null;
      const said = await answer.json();
      errors = byStep(said.errors).found;
      show();
      form.dataset.checked = number;
      return said.yaml;
    } catch { return null; } // saving says that the server is away
  }
  // Errors of steps, by their names; the others as they are.
  function byStep(said) {
    const found = new Map(), homeless = {}, names = Object.keys(chain.steps).sort((a, b) => b.length - a.length);
    for (const [place, texts] of Object.entries(said)) {
      const step = names.find((one) => place === `steps.${one}` || place.startsWith(`steps.${one}.`));
      if (step === undefined) homeless[place] = texts;
      else found.set(step, [...(found.get(step) || []), [place.slice(`steps.${step}.`.length), texts]]);
    }
    return { found, homeless };
  }
  function add(deployment) {
    const step = ChainDocument.freeName(chain, deployment);
    chain.steps[step] = { deployment };
    chosen = { step, edge: "" };
    alter(true);
    steps.focus(step);
  }

  // ------------------------------------------------------------------ YAML
  function tellYaml(text) {
    const place = document.getElementById("yaml-error");
    place.textContent = text;
    place.hidden = !text;
    yaml.classList.toggle("is-invalid", Boolean(text));
    if (text) yaml.setAttribute("aria-invalid", "true"); else yaml.removeAttribute("aria-invalid");
  }
  // Takes what is written as the document; false where it cannot be read.
  async function readYaml() {
    try {
      const answer = await post(form.dataset.read, { yaml: yaml.value }), said = await answer.json();
      tellYaml(answer.ok ? "" : Object.values(said.errors).flat().join(" "));
      if (!answer.ok) { yaml.focus(); return false; }
      chain = { description: "", ...said.document };
    } catch { tellYaml("The server does not answer; try again."); return false; }
    if (!editing) name.value = chain.name ?? "";
    description.value = chain.description ?? "";
    chosen = { step: "", edge: "" };
    errors = new Map();
    steps.forget();
    return true;
  }
  find("yaml-mode").addEventListener("click", async ({ currentTarget: button }) => {
    const toYaml = written.hidden;
    if (toYaml) {
      if (!ready()) return;
      const text = await check();
      if (text === null) { Orchestrator.toast("The server does not answer; try again.", "danger"); return; }
      yaml.value = text;
      tellYaml("");
    } else if (!(await readYaml())) return;
    written.hidden = !toYaml;
    drawn.hidden = toYaml;
    button.setAttribute("aria-pressed", toYaml);
    if (!toYaml) { canvas.draw(chain, chosen, wrong()); canvas.fit(); show(); check(); }
  });
  yaml.addEventListener("input", () => { changed = true; });

  // ------------------------------------------------------------------ save
  // What is typed goes into the document; false where some of it cannot be read.
  function ready() {
    chain.name = name.value.trim();
    chain.description = description.value;
    const unread = steps.read();
    if (!unread.size) return true;
    errors = unread;
    chosen = { step: [...unread.keys()][0], edge: "" };
    show();
    steps.focus(chosen.step);
    return false;
  }
  const fields = { tell(said) {
    const { found, homeless } = byStep(said), { name: named, ...rest } = homeless;
    errors = found;
    name.classList.toggle("is-invalid", Boolean(named));
    document.getElementById("name-error").textContent = named?.join(" ") || "";
    if (named) name.setAttribute("aria-invalid", "true"); else name.removeAttribute("aria-invalid");
    if (found.size && !found.has(chosen.step)) chosen = { step: [...found.keys()][0], edge: "" };
    show();
    if (written.hidden) return rest;
    return { ...rest, ...Object.fromEntries([...found].flatMap(([step, all]) => all.map(([field, texts]) => [[step, field].filter(Boolean).join("."), texts]))) };
  } };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(alter.timer);
    asked += 1;
    if (!(written.hidden ? ready() : await readYaml())) return;
    canvas.keep(chain.name);
    const body = { document: JSON.stringify(chain), version: form.dataset.version };
    await FormSend.send(form, fields, form.action, body);
  });

  find("add").addEventListener("click", () => { const deployment = adding.value.trim(); if (deployment) add(deployment); adding.value = ""; });
  adding.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); find("add").click(); } });
  find("tidy").addEventListener("click", () => { canvas.tidy(chain); canvas.draw(chain, chosen, wrong()); canvas.fit(); });
  for (const input of [name, description]) input.addEventListener("input", () => { changed = true; });
  form.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.target.matches("input[type=text], input:not([type])")) event.preventDefault(); });
  addEventListener("beforeunload", (event) => { if (changed && !FormSend.leaving) event.preventDefault(); });
  canvas.draw(chain, chosen, wrong());
  show();
  form.dataset.ready = "yes";
});
