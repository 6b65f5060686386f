// The template of a webhook: starting again from a preset, and not losing what was written.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("template-form"), text = form.elements.template, start = document.getElementById("start");
  const told = form.querySelector("[data-unsaved]"), saved = text.value;
  let leaving = false;
  const changed = () => text.value !== saved || text.classList.contains("is-invalid");
  const tell = () => { told.hidden = !changed(); };
  text.addEventListener("input", tell);
  start.addEventListener("change", () => {
    const template = start.selectedOptions[0].dataset.template;
    if (template === undefined) return;
    text.value = template;
    start.value = "";
    tell();
    htmx.trigger(form, "webhook:changed");
  });
  form.addEventListener("submit", () => { leaving = true; });
  addEventListener("beforeunload", (event) => { if (changed() && !leaving) event.preventDefault(); });
});
