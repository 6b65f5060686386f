// The time that a list is asked for, read in the reader's zone.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const field = document.querySelector("[data-as-of]"), sent = field?.form.elements.as_of;
  if (!field) return;
  const show = () => {
    const at = sent.value ? new Date(sent.value) : null;
    field.value = at && !Number.isNaN(+at) ? `${Orchestrator.date(at)}T${Orchestrator.clock(at, false)}` : "";
  };
  show();
  document.addEventListener("orchestrator:preferences", show);
  field.addEventListener("change", () => { sent.value = field.value ? Orchestrator.instant(field.value).toISOString() : ""; });
  field.form.addEventListener("submit", () => { sent.disabled = !sent.value; });
});
