// The form that starts a run: fields made from the flow's parameter schema, JSON as the other way in.
"use strict";

document.addEventListener("alpine:init", () => {
  Alpine.data("launch", () => ({
    when: "now",
    init() { this.when = this.$root.querySelector("[name=when]:checked").value; },
    get later() { return this.when === "later"; },
  }));
});

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("launch");
  const holder = document.getElementById("parameters-form"), raw = document.getElementById("parameters-json");
  const text = document.getElementById("parameters"), mode = form.querySelector("[data-json-mode]");
  const schema = JSON.parse(holder.dataset.schema), errors = JSON.parse(holder.dataset.errors);
  let editor = null, asJson = false;

  function readable(found) {
    const known = Object.keys(schema.properties || {});
    if (!known.length) return false;
    try { const value = JSON.parse(text.value || "{}"); return Object.keys(value).every((name) => known.includes(name) || schema.additionalProperties); } catch { return false; }
  }
  // The schema as the editor draws it best: parameters in the order of the flow's signature, ticks for booleans, rows for lists.
  function drawn() {
    const copy = structuredClone(schema);
    const required = copy.required || [];
    Object.entries(copy.properties).forEach(([name, field], index) => {
      field.propertyOrder = (field.position ?? index) + (field.position === undefined && !required.includes(name) ? 500 : 0);
      if (field.type === "boolean") field.format = "checkbox";
      if (field.type === "array" && ["string", "number", "integer"].includes(field.items?.type)) field.format = "table";
      if (field.format === "date-time") field.description = [field.description, "A time with its zone: 2027-01-31T09:00:00+01:00."].filter(Boolean).join(" ");
    });
    return copy;
  }
  function build() {
    editor = new JSONEditor(holder, {
      schema: { ...drawn(), title: " ", options: { disable_collapse: true, disable_edit_json: true, disable_properties: true } },
      theme: "bootstrap5", iconlib: null, show_errors: "never", no_additional_properties: !schema.additionalProperties, required_by_default: false,
      display_required_only: false, disable_array_delete_all_rows: true, disable_array_reorder: true, disable_collapse: true, disable_array_delete_last_row: true, prompt_before_delete: false, use_default_values: true,
    });
    editor.on("ready", () => { editor.setValue({ ...editor.getValue(), ...JSON.parse(text.value || "{}") }); tellErrors(); });
  }
  function tellErrors() {
    for (const [field, texts] of Object.entries(errors)) {
      const path = field.replace(/^parameters\./, "root.");
      const place = holder.querySelector(`[data-schemapath="${CSS.escape(path)}"]`);
      const input = place?.querySelector("input, select, textarea");
      if (!input) continue;
      input.classList.add("is-invalid");
      input.setAttribute("aria-invalid", "true");
      const said = document.createElement("div");
      said.className = "invalid-feedback";
      said.id = "error-" + field.replace(/\W/g, "-");
      said.textContent = texts.join(" ");
      input.setAttribute("aria-describedby", said.id);
      input.insertAdjacentElement("afterend", said);
    }
  }
  function show(json) {
    asJson = json;
    holder.hidden = json;
    raw.hidden = !json;
    mode.setAttribute("aria-pressed", json);
    mode.lastChild.textContent = json ? "As a form" : "As JSON";
  }
  mode.addEventListener("click", () => {
    if (!asJson) { text.value = JSON.stringify(editor.getValue(), null, 2); show(true); return; }
    if (!readable()) { Orchestrator.toast("The form cannot show this JSON: a name is unknown, or it is no JSON object.", "danger"); return; }
    editor.setValue({ ...editor.getValue(), ...JSON.parse(text.value || "{}") });
    show(false);
  });
  form.addEventListener("submit", () => {
    if (!asJson && editor) text.value = JSON.stringify(editor.getValue());
    const wall = form.querySelector("[data-due-wall]").value;
    form.querySelector("[data-due]").value = wall ? Orchestrator.instant(wall).toISOString() : "";
  });
  const due = form.querySelector("[data-due]").value;
  if (due) {
    const at = new Date(due);
    form.querySelector("[data-due-wall]").value = `${Orchestrator.date(at)}T${Orchestrator.clock(at)}`;
  }
  if (readable()) { build(); show(false); } else { show(true); mode.hidden = !Object.keys(schema.properties || {}).length; }
});
