// Values that a deployment lays over the fields of its infrastructure block: chosen one by one, drawn by their schema.
"use strict";

class OverrideFields {
  // options: box, holder, names, select, button, schemaOf: async (slug) => schema | null
  constructor(options) {
    Object.assign(this, options);
    this.value = {};
    this.fields = null;
    this.schema = null;
    this.turn = 0;
    this.button.addEventListener("click", () => this.choose());
  }
  // Go over to a type of block, or (empty) to none; what was set stays where that type has the field, too.
  async use(slug) {
    const mine = ++this.turn, value = this.read().value;
    const schema = slug ? await this.schemaOf(slug) : null;
    if (mine !== this.turn) return;
    this.schema = schema;
    this.box.hidden = !schema;
    const can = this.possible();
    this.value = Object.fromEntries(Object.entries(value).filter(([name]) => name in can));
    const lost = Object.keys(value).filter((name) => !(name in can));
    if (lost.length) Orchestrator.toast(`No longer set, since this block has no such field: ${lost.join(", ")}`, "danger");
    await this.draw();
  }
  // Neither secrets nor blocks of its own: the server takes them in the block alone.
  possible() {
    const definitions = this.schema?.$defs || {};
    const real = (item) => [item, ...(item.anyOf || [])].map((one) => (one.$ref ? { ...definitions[one.$ref.split("/").pop()], ...one } : one));
    return Object.fromEntries(Object.entries(this.schema?.properties || {}).filter(([, item]) => !real(item).some((one) => one.writeOnly || one["x-block"])));
  }
  async choose() {
    const name = this.select.value;
    if (!name) { this.select.focus(); return; }
    this.value = { ...this.read().value, [name]: this.possible()[name].default ?? undefined };
    await this.draw();
    this.holder.querySelector(`[data-schemapath="root.${CSS.escape(name)}"]`)?.querySelector("input, select, textarea, button")?.focus();
    this.holder.dispatchEvent(new Event("input", { bubbles: true }));
  }
  async drop(name) {
    const { [name]: gone, ...rest } = this.read().value;
    this.value = rest;
    await this.draw();
    this.select.focus();
    this.holder.dispatchEvent(new Event("input", { bubbles: true }));
  }
  async draw() {
    const can = this.possible(), names = Object.keys(this.value);
    const title = (name) => can[name].title || name;
    this.select.replaceChildren(this.select.options[0], ...Object.keys(can).filter((name) => !names.includes(name)).map((name) => new Option(title(name), name)));
    this.select.value = "";
    this.fields = null;
    this.names.replaceChildren(...names.map((name) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm" });
      button.append(Errands.icon("remove"), `Leave ${title(name)} to the block`);
      button.addEventListener("click", () => this.drop(name));
      return button;
    }));
    const inner = Object.assign(document.createElement("div"), { id: "override-fields-inner" });
    this.holder.replaceChildren(inner);
    if (!names.length) return;
    const schema = { type: "object", properties: Object.fromEntries(names.map((name) => [name, can[name]])), $defs: this.schema.$defs || {} };
    this.fields = await new SchemaForm.Form(inner, { schema, value: this.value, templates: true, root: "override", choices: async () => ({ types: [], blocks: [] }) }).build();
  }
  read() {
    if (!this.fields) return { value: this.value, errors: {} };
    const found = this.fields.read(false);
    // A field that is set, but left empty, is set to nothing.
    return { value: Object.fromEntries(Object.keys(this.value).map((name) => [name, found.value[name] ?? null])), errors: found.errors };
  }
  tell(errors) { return this.fields ? this.fields.tell(errors) : errors; }
}
