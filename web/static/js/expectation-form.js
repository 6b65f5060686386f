// The form of an expectation: what the server finds wrong stands at the fields that were touched, or at all after a refusal.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("expectation-form"), touched = new Set();
  const fieldOf = (node) => node.closest("[data-field]")?.dataset.field;
  for (const kind of ["input", "change"]) form.addEventListener(kind, (event) => { const name = fieldOf(event.target); if (name) touched.add(name); });
  function tell() {
    const errors = JSON.parse(document.getElementById("said")?.dataset.errors || "{}"), all = "refused" in form.dataset;
    for (const field of form.querySelectorAll("[data-field]")) {
      const texts = all || touched.has(field.dataset.field) ? errors[field.dataset.field] : null, told = field.querySelector("[data-told]");
      if (!told) continue;
      told.textContent = texts ? texts.join(" ") : "";
      told.hidden = !texts;
      for (const input of field.querySelectorAll("input:not([type=checkbox]), select, textarea")) {
        input.classList.toggle("is-invalid", Boolean(texts));
        if (texts) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
      }
    }
  }
  document.getElementById("preview").addEventListener("htmx:afterSwap", tell);
  if (form.querySelector("[aria-invalid=true]")) form.querySelector("[aria-invalid=true]").focus();
});
