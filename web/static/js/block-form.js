// Making and changing a block: its fields, and what the server says.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const page = document.getElementById("block-form"), places = page.dataset;
  const { choices, create } = BlockCreate.of(places);

  // ---------------------------------------------------------- the page's form
  let fields = null, changed = false;
  const name = page.elements.name, raw = document.getElementById("raw");
  const schema = JSON.parse(places.schema), value = JSON.parse(places.value);
  name?.addEventListener("input", () => { page.querySelector("[data-name-echo]").textContent = name.value.trim() || "dev"; });
  page.addEventListener("input", () => { changed = true; });
  addEventListener("beforeunload", (event) => { if (changed && !FormSend.leaving) event.preventDefault(); });
  page.addEventListener("submit", async (event) => {
    event.preventDefault();
    let data;
    if (fields) {
      const found = FormSend.checked(page, fields, name?.value.trim());
      if (!found) return;
      data = JSON.stringify(found);
    } else data = raw.value;
    await FormSend.send(page, fields, page.action, { ...(name && { name: name.value.trim() }), ...(page.elements.updated && { updated: page.elements.updated.value }), data });
  });
  if (!SchemaForm.readable(schema)) {
    page.querySelector("[data-raw]").hidden = false;
    raw.value = JSON.stringify(value, null, 2);
    return;
  }
  new SchemaForm.Form(document.getElementById("fields"), { schema, value, choices, create }).build().then((made) => { fields = made; });
});
