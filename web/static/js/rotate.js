// The dialog that gives a block new secrets: its secret fields alone, empty ones kept.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("rotate-form"), dialog = form.closest("dialog");
  const schema = JSON.parse(form.dataset.schema), value = JSON.parse(form.dataset.value);
  let fields = null;
  new SchemaForm.Form(document.getElementById("secrets"), { schema, value, removable: false, choices: async () => ({ types: [], blocks: [] }) }).build().then((made) => { fields = made; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const found = fields && FormSend.checked(form, fields);
    if (!found) return;
    const given = Object.fromEntries(Object.entries(found).filter(([, secret]) => secret !== null && secret !== SchemaForm.MASK));
    if (!Object.keys(given).length) { FormSend.tell(form, fields, { "": ["Every field is empty: give at least one new secret."] }); return; }
    await FormSend.send(form, fields, form.action, { data: JSON.stringify(given) });
  });
  // What was typed does not stay behind in a dialog that was closed.
  dialog.addEventListener("close", () => { form.querySelectorAll("input:not([type=hidden]), textarea").forEach((input) => { input.value = ""; input.dispatchEvent(new Event("change", { bubbles: true })); }); FormSend.tell(form, fields, {}); });
});
