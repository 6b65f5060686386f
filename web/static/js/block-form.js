// Making and changing a block: its fields, blocks made in place for fields that hold one, and what the server says.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const page = document.getElementById("block-form"), places = page.dataset;
  const chosen = {};
  let dialogs = 0;

  async function choices(of) {
    if (!chosen[of]) {
      const answer = await Orchestrator.fetchJson(`${places.choices}?of=${encodeURIComponent(of)}`);
      if (!answer) Orchestrator.toast("The blocks to choose from could not be read. Load the page again.", "danger");
      chosen[of] = answer ? answer.data : { types: [], blocks: [] };
    }
    return chosen[of];
  }
  const at = (pattern, slug) => pattern.replace("SLUG", encodeURIComponent(slug));

  // -------------------------------------------------------- a block in place
  async function create(of) {
    const { types } = await choices(of);
    if (!types.length) { Orchestrator.toast(`No type of block fits here (${of}). Register one first.`, "danger"); return null; }
    const dialog = document.getElementById("block-dialog").content.cloneNode(true).querySelector("dialog");
    const number = ++dialogs, form = dialog.querySelector("form"), title = dialog.querySelector("h2");
    const select = dialog.querySelector("select"), name = dialog.querySelector("[data-field=name] input"), holder = dialog.querySelector(".schema-form");
    title.id = `inner-title-${number}`;
    dialog.setAttribute("aria-labelledby", title.id);
    for (const [node, id] of [[select, "type"], [name, "name"]]) { node.id = `inner-${id}-${number}`; node.previousElementSibling.htmlFor = node.id; }
    for (const type of types) select.add(new Option(type.name, type.slug));
    select.closest("[data-type]").hidden = types.length === 1;
    document.body.append(dialog);
    let fields = null, made = null, turn = 0;
    async function draw() {
      const mine = ++turn;
      fields = null;
      FormSend.tell(form, null, {});
      const answer = await Orchestrator.fetchJson(at(places.form, select.value));
      if (!answer || mine !== turn) return;
      title.textContent = `New ${answer.data.name}`;
      const inner = Object.assign(document.createElement("div"), { id: `inner-fields-${number}-${mine}` });
      holder.replaceChildren(inner);
      if (!SchemaForm.readable(answer.data.schema)) { inner.textContent = "No form can be made of this type's schema; the command line can make a block of it."; return; }
      const drawn = await new SchemaForm.Form(inner, { schema: answer.data.schema, choices, create }).build();
      if (mine === turn) fields = drawn;
    }
    select.addEventListener("change", draw);
    dialog.querySelector("[data-cancel]").addEventListener("click", () => dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const value = fields && FormSend.checked(form, fields, name.value.trim());
      if (!value) return;
      made = await FormSend.send(form, fields, at(places.new, select.value), { name: name.value.trim(), data: JSON.stringify(value), inside: "1" });
      if (!made) return;
      for (const key of Object.keys(chosen)) delete chosen[key]; // forms that are opened later offer it as well
      dialog.close();
    });
    await draw();
    dialog.showModal();
    name.focus();
    await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
    dialog.remove();
    return made;
  }

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
