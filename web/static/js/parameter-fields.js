// A flow's parameters: fields made from its schema, JSON as the other way in.
"use strict";

class ParameterFields {
  // parts: {holder, raw, text, mode}: where fields go, what holds the JSON, its text field, and the button between them.
  // options: schema, errors (by name), templates (whether texts may hold them). What is in the text field is shown.
  constructor(parts, options) {
    Object.assign(this, parts);
    this.options = options;
    this.fields = null;
    this.asJson = false;
    this.mode.onclick = () => this.turn();
  }
  async build() {
    const { schema } = this.options;
    this.mode.hidden = !SchemaForm.readable(schema);
    const value = this.typed();
    if (!value || !SchemaForm.shows(schema, value)) { this.show(true); return this; }
    this.show(false);
    await this.draw(value);
    return this;
  }
  async draw(value) {
    const inner = Object.assign(document.createElement("div"), { id: `${this.holder.id}-fields` });
    this.holder.replaceChildren(inner);
    const { schema, errors, templates } = this.options;
    this.fields = await new SchemaForm.Form(inner, { schema, value, errors, templates, choices: async () => ({ types: [], blocks: [] }) }).build();
    this.unchanged = this.fields.read(false).value;
  }
  // What the text field holds, where it is a JSON object.
  typed() {
    try {
      const value = JSON.parse(this.text.value.trim() || "{}");
      return value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
    } catch { return null; }
  }
  show(json) {
    this.asJson = json;
    this.holder.hidden = json;
    this.raw.hidden = !json;
    this.mode.setAttribute("aria-pressed", json);
    this.mode.lastChild.textContent = json ? "As a form" : "As JSON";
  }
  async turn() {
    if (!this.asJson) { this.text.value = JSON.stringify(this.fields.read(false).value, null, 2); this.show(true); return; }
    const value = this.typed();
    if (!value || !SchemaForm.shows(this.options.schema, value)) { Orchestrator.toast("The form cannot show this JSON: a name is unknown, a template stands where one chooses, or it is no JSON object.", "danger"); return; }
    if (this.fields) this.fields.set(value); else await this.draw(value);
    this.show(false);
  }
  // {value, errors}; as JSON, value is null where the text is none.
  read() {
    if (!this.asJson && this.fields) return this.fields.read(false);
    const value = this.typed();
    return { value, errors: value ? {} : { "": ["This is no JSON object."] } };
  }
  // As `read`, without what nobody gave: fields that are as they were drawn, save those that `given` holds.
  chosen(given) {
    const found = this.read();
    if (this.asJson || !this.fields || !found.value) return found;
    const same = (name) => JSON.stringify(found.value[name]) === JSON.stringify(this.unchanged[name]);
    const kept = Object.entries(found.value).filter(([name]) => name in given || !same(name));
    return { value: Object.fromEntries(kept), errors: found.errors };
  }
  // Messages beside the fields; gives back those that found no place.
  tell(errors) {
    this.text.classList.toggle("is-invalid", this.asJson && Boolean(Object.keys(errors).length));
    if (this.asJson) this.text[Object.keys(errors).length ? "setAttribute" : "removeAttribute"]("aria-invalid", "true");
    return this.asJson || !this.fields ? errors : this.fields.tell(errors);
  }
}
