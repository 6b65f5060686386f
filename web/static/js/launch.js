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
  const errors = Object.fromEntries(Object.entries(JSON.parse(holder.dataset.errors)).map(([field, texts]) => [field.replace(/^parameters\./, ""), texts]));
  const parameters = new ParameterFields({ holder, raw, text, mode }, { schema: JSON.parse(holder.dataset.schema), errors, templates: true });

  form.addEventListener("submit", (event) => {
    if (!parameters.asJson) {
      const found = parameters.read();
      if (Object.keys(found.errors).length) { event.preventDefault(); parameters.tell(found.errors); parameters.fields?.focusWrong(); return; }
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
  await parameters.build();
});
