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

  // ------------------------------------------------------------ what is wrong
  function nameError(form, texts) {
    const field = form.querySelector("[data-field=name]"), input = field?.querySelector("input");
    if (!input) return false;
    field.querySelector("[data-told]")?.remove();
    input.classList.toggle("is-invalid", Boolean(texts));
    if (!texts) { input.removeAttribute("aria-invalid"); return true; }
    const said = Object.assign(document.createElement("div"), { className: "invalid-feedback", textContent: texts.join(" "), id: input.id + "-error" });
    said.dataset.told = "";
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", said.id);
    input.insertAdjacentElement("afterend", said);
    return true;
  }
  function tell(form, fields, errors) {
    const { name, ...rest } = errors;
    const summary = form.querySelector("[data-summary]");
    const homeless = fields ? fields.tell(rest) : rest;
    if (!nameError(form, fields && name && fields.place("name") && !form.querySelector("[data-field=name]") ? null : name) && name) homeless.name = name;
    const count = Object.keys(errors).length;
    summary.hidden = !count;
    summary.className = "alert alert-danger";
    summary.setAttribute("role", "alert");
    summary.replaceChildren();
    if (!count) return;
    summary.append(Object.assign(document.createElement("b"), { textContent: "It was not saved. " }));
    const list = Object.assign(document.createElement("ul"), { className: "mb-0" });
    for (const [field, texts] of Object.entries(homeless)) for (const text of texts) list.append(Object.assign(document.createElement("li"), { textContent: field ? `${field}: ${text}` : text }));
    summary.append(list.children.length ? list : document.createTextNode(count === 1 ? "Look at the field that is marked." : `Look at the ${count} fields that are marked.`));
    const wrong = form.querySelector("[aria-invalid=true]");
    (wrong || summary).focus();
  }
  // Send a form; true, or the answer's JSON, when it was taken.
  async function send(form, fields, address, values) {
    const button = form.querySelector("button.btn-primary");
    button.disabled = true;
    try {
      const answer = await fetch(address, { method: "POST", body: new URLSearchParams(values), headers: { "HX-Request": "true", "X-CSRF-Token": Orchestrator.csrf } });
      const elsewhere = answer.headers.get("HX-Redirect");
      if (elsewhere) { leaving = true; location.assign(elsewhere); return true; }
      if (answer.ok) return await answer.json();
      const text = await answer.text();
      let errors;
      try { errors = JSON.parse(text).errors; } catch { errors = { "": [text || "The server refused it."] }; }
      tell(form, fields, errors);
    } catch { tell(form, fields, { "": ["The server does not answer. Nothing was saved; try again."] }); } finally { button.disabled = false; }
    return null;
  }
  // The values, when nothing about them is wrong that can be told here.
  function checked(form, fields, name) {
    const found = fields.read();
    const errors = { ...found.errors, ...(name === "" && { name: ["Give the block a name; flows load it by that."] }) };
    tell(form, fields, errors);
    return Object.keys(errors).length ? null : found.value;
  }

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
      tell(form, null, {});
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
      const value = fields && checked(form, fields, name.value.trim());
      if (!value) return;
      made = await send(form, fields, at(places.new, select.value), { name: name.value.trim(), data: JSON.stringify(value), inside: "1" });
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
  let fields = null, changed = false, leaving = false;
  const name = page.elements.name, raw = document.getElementById("raw");
  const schema = JSON.parse(places.schema), value = JSON.parse(places.value);
  name?.addEventListener("input", () => { page.querySelector("[data-name-echo]").textContent = name.value.trim() || "dev"; });
  page.addEventListener("input", () => { changed = true; });
  addEventListener("beforeunload", (event) => { if (changed && !leaving) event.preventDefault(); });
  page.addEventListener("submit", async (event) => {
    event.preventDefault();
    let data;
    if (fields) {
      const found = checked(page, fields, name?.value.trim());
      if (!found) return;
      data = JSON.stringify(found);
    } else data = raw.value;
    await send(page, fields, page.action, { ...(name && { name: name.value.trim() }), ...(page.elements.updated && { updated: page.elements.updated.value }), data });
  });
  if (!SchemaForm.readable(schema)) {
    page.querySelector("[data-raw]").hidden = false;
    raw.value = JSON.stringify(value, null, 2);
    return;
  }
  new SchemaForm.Form(document.getElementById("fields"), { schema, value, choices, create }).build().then((made) => { fields = made; });
});
