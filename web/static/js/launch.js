// The form that starts a run: fields made from the flow's parameter schema, JSON as the other way in.
"use strict";

document.addEventListener("alpine:init", () => {
  Alpine.data("launch", () => ({
    when: "now",
    init() { this.when = this.$root.querySelector("[name=when]:checked").value; },
    get later() { return this.when === "later"; },
  }));
});

document.addEventListener("DOMContentLoaded", async () => {
  const form = document.getElementById("launch");
  const holder = document.getElementById("parameters-form"), raw = document.getElementById("parameters-json");
  const text = document.getElementById("parameters"), mode = form.querySelector("[data-json-mode]");
  const schema = JSON.parse(holder.dataset.schema), errors = JSON.parse(holder.dataset.errors);
  let fields = null, asJson = false;

  function readable() {
    if (!SchemaForm.readable(schema)) return false;
    try { const value = JSON.parse(text.value || "{}"); return Object.keys(value).every((name) => name in schema.properties || schema.additionalProperties); } catch { return false; }
  }
  function show(json) {
    asJson = json;
    holder.hidden = json;
    raw.hidden = !json;
    mode.setAttribute("aria-pressed", json);
    mode.lastChild.textContent = json ? "As a form" : "As JSON";
  }
  mode.addEventListener("click", () => {
    if (!asJson) { text.value = JSON.stringify(fields.read(false).value, null, 2); show(true); return; }
    if (!readable()) { Orchestrator.toast("The form cannot show this JSON: a name is unknown, or it is no JSON object.", "danger"); return; }
    fields.set(JSON.parse(text.value || "{}"));
    show(false);
  });
  form.addEventListener("submit", (event) => {
    if (!asJson && fields) {
      const found = fields.read(false);
      if (Object.keys(found.errors).length) { event.preventDefault(); fields.tell(found.errors); fields.focusWrong(); return; }
      text.value = JSON.stringify(found.value);
    }
    const wall = form.querySelector("[data-due-wall]").value;
    form.querySelector("[data-due]").value = wall ? Orchestrator.instant(wall).toISOString() : "";
  });
  const due = form.querySelector("[data-due]").value;
  if (due) {
    const at = new Date(due);
    form.querySelector("[data-due-wall]").value = `${Orchestrator.date(at)}T${Orchestrator.clock(at)}`;
  }
  if (!readable()) { show(true); mode.hidden = !SchemaForm.readable(schema); return; }
  show(false);
  const told = Object.fromEntries(Object.entries(errors).map(([field, texts]) => [field.replace(/^parameters\./, ""), texts]));
  fields = await new SchemaForm.Form(holder, { schema, value: JSON.parse(text.value || "{}"), errors: told, choices: async () => ({ types: [], blocks: [] }) }).build();
});
