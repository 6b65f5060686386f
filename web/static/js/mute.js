// The dialog that mutes a trigger: its end is chosen in the reader's zone and sent as an instant.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.getElementById("mute");
  if (!dialog) return;
  const form = dialog.querySelector("form"), wall = form.querySelector("[data-until-wall]"), sent = form.elements.until;
  const at = sent.value ? new Date(sent.value) : null;
  if (at && !Number.isNaN(+at)) wall.value = `${Orchestrator.date(at)}T${Orchestrator.clock(at, false)}`;
  form.addEventListener("submit", () => { sent.value = wall.value ? Orchestrator.instant(wall.value).toISOString() : ""; });
  if (dialog.hasAttribute("data-show")) dialog.showModal();
});
