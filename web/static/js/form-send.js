// Sending a form that was made from a schema, and showing what is wrong with it: beside the fields, and above them.
"use strict";

const FormSend = (() => {
  const state = { leaving: false };

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
  // Errors by field of the schema; "@name" is the block's own name, "" what belongs to no field.
  function tell(form, fields, errors) {
    const { "@name": name, ...rest } = errors;
    const summary = form.querySelector("[data-summary]");
    const homeless = fields ? fields.tell(rest) : rest;
    if (!nameError(form, name) && name) homeless["@name"] = name;
    const count = Object.keys(errors).length;
    summary.hidden = !count;
    summary.className = "alert alert-danger";
    summary.setAttribute("role", "alert");
    summary.replaceChildren();
    if (!count) return;
    summary.append(Object.assign(document.createElement("b"), { textContent: `${form.dataset.refused || "It was not saved."} ` }));
    const list = Object.assign(document.createElement("ul"), { className: "mb-0" });
    for (const [field, texts] of Object.entries(homeless)) for (const text of texts) list.append(Object.assign(document.createElement("li"), { textContent: field ? `${field.replace("@", "")}: ${text}` : text }));
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
      if (elsewhere) { state.leaving = true; location.assign(elsewhere); return true; }
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
    const errors = { ...found.errors, ...(name === "" && { "@name": ["Give the block a name; flows load it by that."] }) };
    tell(form, fields, errors);
    return Object.keys(errors).length ? null : found.value;
  }
  return { tell, send, checked, get leaving() { return state.leaving; } };
})();
