// A form made from a JSON schema: for the parameters of a run, and for the fields of a block.
// What a person reads and what is sent differ (a secret that is kept, a block that is chosen, a map as rows), so each
// field is drawn by a simpler schema; `encode` takes a value into the form and `decode` brings it back.
"use strict";

const SchemaForm = (() => {
  const MASK = "********", REFERENCE = "$block", DEEP = 6;
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  // A text in which a deployment has something looked up when a run starts: {{ variables.day }}.
  const isTemplate = (value) => typeof value === "string" && /\{\{\s*(blocks|variables|env)\b[^{}]*\}\}/.test(value);
  const join = (path, name) => (path ? `${path}.${name}` : String(name));

  // A schema with its references followed and "or null" made a mark of the field.
  function normal(node, definitions, depth = 0) {
    if (!isObject(node) || depth > DEEP) return {};
    let copy = { ...node };
    for (let hops = 0; copy.$ref && hops < 10; hops++) {
      const { $ref, ...beside } = copy;
      copy = { ...(definitions[$ref.split("/").pop()] || {}), ...beside };
    }
    if (copy.allOf?.length === 1) { const { allOf, ...beside } = copy; copy = { ...normal(allOf[0], definitions, depth + 1), ...beside }; }
    const { anyOf, oneOf, ...beside } = copy, options = anyOf || oneOf;
    if (options && !copy["x-block"]) {
      const real = options.map((option) => normal(option, definitions, depth + 1)).filter((option) => option.type !== "null");
      const nullable = real.length < options.length;
      if (real.length === 1) copy = { ...real[0], ...beside, "x-nullable": nullable };
      else copy = { ...beside, "x-options": real, "x-nullable": nullable };
    } else if (options) copy = { ...beside, "x-nullable": options.some((option) => option.type === "null") };
    if (Array.isArray(copy.type)) {
      const types = copy.type.filter((type) => type !== "null");
      copy = { ...copy, type: types.length === 1 ? types[0] : undefined, "x-nullable": types.length < copy.type.length };
    }
    if (isObject(copy.properties)) copy.properties = Object.fromEntries(Object.entries(copy.properties).map(([name, inner]) => [name, normal(inner, definitions, depth + 1)]));
    if (isObject(copy.items)) copy.items = normal(copy.items, definitions, depth + 1);
    if (isObject(copy.additionalProperties)) copy.additionalProperties = normal(copy.additionalProperties, definitions, depth + 1);
    return copy;
  }

  function widget(node) {
    if (node["x-block"]) return "block";
    if (node.writeOnly) return node.type === "string" ? "secret" : "secret-json";
    if (Array.isArray(node.enum)) return "choice";
    if (node.const !== undefined) return "const";
    if (node.type === "object") {
      if (isObject(node.properties) && Object.keys(node.properties).length) return "object";
      return isObject(node.additionalProperties) && ["text", "number"].includes(widget(node.additionalProperties)) ? "map" : "json";
    }
    if (node.type === "array") {
      const inner = isObject(node.items) ? widget(node.items) : "json";
      return ["text", "number", "choice", "block", "object"].includes(inner) ? "list" : "json";
    }
    if (node.type === "boolean") return node["x-nullable"] ? "choice" : "boolean";
    if (["integer", "number"].includes(node.type)) return "number";
    if (node.type === "string") return "text";
    // One of several plain types: as text, read as the first that it fits.
    return node["x-options"]?.length && node["x-options"].every((option) => ["text", "number"].includes(widget(option))) ? "text" : "json";
  }
  const choicesOf = (node) => (node.type === "boolean" ? [true, false] : node.enum.filter((value) => value !== null));
  const choiceTitle = (value) => (value === true ? "Yes" : value === false ? "No" : String(value));

  // ------------------------------------------------------- how it is drawn
  function inOrder(node) {
    const required = node.required || [];
    return Object.entries(node.properties).map(([name, inner], index) => [name, inner, (inner.position ?? index) + (inner.position === undefined && !required.includes(name) ? 500 : 0)])
      .sort((one, other) => one[2] - other[2]);
  }
  function drawn(node, blocks, needed = true) {
    const kind = widget(node);
    const base = { title: node.title, description: node.description };
    const attributes = { spellcheck: "false", ...(node["x-placeholder"] && { placeholder: String(node["x-placeholder"]) }) };
    const text = (more = {}, format) => ({ ...base, type: "string", ...(format && { format }), options: { inputAttributes: { ...attributes, ...more } } });
    if (kind === "object") {
      const properties = {};
      inOrder(node).forEach(([name, inner], index) => {
        properties[name] = { title: name, ...withoutEmpty(drawn(inner, blocks, (node.required || []).includes(name))), propertyOrder: index };
      });
      return { ...base, type: "object", properties, options: { disable_collapse: true, disable_edit_json: true, disable_properties: true } };
    }
    if (kind === "boolean") return { ...base, type: "boolean", format: "checkbox" };
    if (kind === "number") return text({ inputmode: node.type === "integer" ? "numeric" : "decimal", autocomplete: "off" });
    if (kind === "choice" || kind === "block") {
      const values = kind === "block" ? blocks[node["x-block"]].blocks.map((item) => [item.id, item.label]) : choicesOf(node).map((value) => [String(value), choiceTitle(value)]);
      const empty = kind === "block" || !needed || node["x-nullable"] || node.default === undefined ? [["", kind === "block" && needed && !node["x-nullable"] ? "Choose…" : kind === "block" ? "None" : "–"]] : [];
      const all = [...empty, ...values];
      return { ...base, type: "string", format: "select", enum: all.map(([value]) => value), options: { enum_titles: all.map(([, title]) => title) } };
    }
    if (kind === "list") return { ...base, type: "array", format: "table", items: { title: "item", ...withoutEmpty(drawn(node.items, blocks)) } };
    if (kind === "map") return { ...base, type: "array", format: "table", items: { type: "object", title: "entry", properties: { name: { type: "string", title: "Name" }, value: { type: "string", title: "Value" } } } };
    if (kind === "secret") return node["x-multiline"] ? text({ autocomplete: "off" }, "textarea") : text({ autocomplete: "new-password" }, "password");
    if (kind === "json" || kind === "secret-json") return { ...text({ autocomplete: "off" }, "textarea"), description: [node.description, "As JSON."].filter(Boolean).join(" ") };
    if (kind === "const") return { ...text(), readonly: true };
    const drawnText = text({ autocomplete: "off" }, node["x-multiline"] ? "textarea" : undefined);
    if (node.format === "date-time") drawnText.description = [node.description, "A time with its zone: 2027-01-31T09:00:00+01:00."].filter(Boolean).join(" ");
    return drawnText;
  }
  const withoutEmpty = (item) => Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined));

  // ---------------------------------------------------------- values, in and out
  function encode(node, value, kept, path = "") {
    const kind = widget(node);
    if (value === undefined) value = node.default;
    if (kind === "object") return Object.fromEntries(Object.entries(node.properties).map(([name, inner]) => [name, encode(inner, isObject(value) ? value[name] : undefined, kept, join(path, name))]));
    if (kind.startsWith("secret")) { if (value === MASK) kept.add(path); return value === MASK || value === null || value === undefined ? "" : kind === "secret" ? String(value) : JSON.stringify(value, null, 2); }
    if (kind === "boolean") return Boolean(value);
    if (kind === "block") return isObject(value) ? String(value[REFERENCE] || "") : "";
    if (kind === "list") return (Array.isArray(value) ? value : []).map((item, index) => encode(node.items, item, kept, join(path, index)));
    if (kind === "map") return Object.entries(isObject(value) ? value : {}).map(([name, inner]) => ({ name, value: inner === null ? "" : String(inner) }));
    if (kind === "const") return String(node.const);
    if (kind === "json") return value === undefined || (value === null && (node["x-nullable"] || node.default === null)) ? "" : JSON.stringify(value, null, 2);
    return value === null || value === undefined ? "" : String(value);
  }
  // What was typed, as the value to send; undefined: nothing, so that the default holds. Problems go to `tell`.
  function decode(node, value, state, path = "") {
    const kind = widget(node), tell = (text) => (state.errors[path] ||= []).push(text);
    const nothing = node["x-nullable"] ? null : undefined;
    if (kind === "object") return decodeObject(node, isObject(value) ? value : {}, state, path);
    if (state.templates && isTemplate(value) && ["text", "number"].includes(kind)) return value.trim();
    if (kind.startsWith("secret") && !value) return state.kept.has(path) && !state.removed.has(path) ? MASK : nothing;
    if (kind === "secret") return value;
    if (kind === "boolean") return Boolean(value);
    if (kind === "block") return value ? { [REFERENCE]: value } : nothing;
    if (kind === "choice") { const found = choicesOf(node).find((item) => String(item) === value); return found === undefined ? nothing : found; }
    if (kind === "const") return node.const;
    if (kind === "list") return (value || []).map((item, index) => decode(node.items, item, state, join(path, index))).filter((item) => item !== undefined);
    if (kind === "map") {
      const rows = (value || []).filter((row) => row.name || row.value);
      if (rows.some((row) => !row.name)) tell("Every entry needs a name.");
      return Object.fromEntries(rows.map((row) => [row.name, decode(node.additionalProperties, row.value, state, path) ?? ""]));
    }
    if (kind === "number") return decodeNumber(node, String(value ?? "").trim(), nothing, tell);
    if (kind === "json" || kind === "secret-json") {
      if (!String(value ?? "").trim()) return nothing;
      try { return JSON.parse(value); } catch (error) { if (state.templates && isTemplate(value)) return value.trim(); tell(`This is no JSON: ${error.message}.`); return undefined; }
    }
    if (node["x-options"] && value) {
      const numeric = node["x-options"].some((option) => widget(option) === "number") && value.trim() !== "" && Number.isFinite(Number(value));
      return numeric ? Number(value) : value;
    }
    return value === "" && node["x-nullable"] ? null : value ?? nothing;
  }
  function decodeObject(node, value, state, path) {
    const result = {};
    for (const [name, inner] of Object.entries(node.properties)) {
      const place = join(path, name);
      if (state.hidden.has(place)) continue;
      const found = decode(inner, value[name], state, place);
      const missing = found === undefined || found === "" || (found === null && !inner["x-nullable"] && widget(inner) !== "json");
      if ((node.required || []).includes(name) && missing && !state.errors[place] && state.rules) (state.errors[place] ||= []).push(widget(inner) === "block" ? "Choose a block, or make one." : "Is required.");
      if (found === undefined) continue;
      result[name] = found;
      if (state.rules && found !== null && found !== "" && found !== MASK) for (const text of broken(inner, found)) (state.errors[place] ||= []).push(text);
    }
    return result;
  }
  function decodeNumber(node, text, nothing, tell) {
    if (!text) return nothing;
    const value = Number(text.replace(",", "."));
    if (!Number.isFinite(value)) { tell("Must be a number."); return undefined; }
    return value;
  }
  // The rules of a schema that can be told before sending; the server checks all of them.
  function broken(node, value) {
    const said = [], rule = (limit, bad, text) => { if (limit !== undefined && bad) said.push(text); };
    if (typeof value === "string") {
      rule(node.minLength, [...value].length < node.minLength, node.minLength === 1 ? "Must not be empty." : `Must have at least ${node.minLength} characters.`);
      rule(node.maxLength, [...value].length > node.maxLength, `Must have at most ${node.maxLength} characters.`);
      if (node.pattern) try { rule(node.pattern, !new RegExp(node.pattern, "u").test(value), `Must look like ${node.pattern}`); } catch { /* a pattern of another dialect: the server knows it */ }
      if (node.format === "email") rule(node.format, !/^[^@\s]+@[^@\s]+$/.test(value), "Must be an e-mail address.");
      if (node.format === "uri" && !node.writeOnly) rule(node.format, !/^[a-z][a-z0-9+.-]*:\S+$/i.test(value), "Must be an address, such as https://example.com.");
    }
    if (typeof value === "number") {
      if (node.type === "integer") rule(node.type, !Number.isInteger(value), "Must be a whole number.");
      rule(node.minimum, value < node.minimum, `Must be at least ${node.minimum}.`);
      rule(node.maximum, value > node.maximum, `Must be at most ${node.maximum}.`);
      rule(node.exclusiveMinimum, value <= node.exclusiveMinimum, `Must be more than ${node.exclusiveMinimum}.`);
      rule(node.exclusiveMaximum, value >= node.exclusiveMaximum, `Must be less than ${node.exclusiveMaximum}.`);
    }
    if (Array.isArray(value)) {
      rule(node.minItems, value.length < node.minItems, `Needs at least ${node.minItems}.`);
      rule(node.maxItems, value.length > node.maxItems, `Takes at most ${node.maxItems}.`);
    }
    return said;
  }

  // ------------------------------------------------------------------ the form
  // Interfaces and types that fields anywhere in a schema ask for.
  function wanted(node, found = new Set()) {
    if (node["x-block"]) found.add(node["x-block"]);
    Object.values(node.properties || {}).forEach((inner) => wanted(inner, found));
    if (isObject(node.items)) wanted(node.items, found);
    return found;
  }
  // Whether fields can show a value: a template fits where one types, not where one chooses.
  function fits(node, value) {
    const kind = widget(node);
    if (isTemplate(value)) return ["text", "number", "json"].includes(kind);
    if (kind === "object" && isObject(value)) return Object.entries(value).every(([name, inner]) => !(name in node.properties) || fits(node.properties[name], inner));
    return kind !== "list" || !Array.isArray(value) || value.every((item) => fits(node.items, item));
  }
  function shows(schema, value) {
    const node = normal(schema, schema.$defs || {});
    return widget(node) === "object" && isObject(value) && Object.keys(value).every((name) => name in node.properties || node.additionalProperties) && fits(node, value);
  }
  const readable = (schema) => widget(normal(schema, schema.$defs || {})) === "object";

  class Form {
    // options: schema, value, errors (by path), removable, templates (whether texts may hold them), root (of the names of inputs), choices: async (of) => {types, blocks}, create: async (of) => {id, label} | null
    constructor(holder, options) {
      this.holder = holder;
      this.options = options;
      this.node = normal(options.schema, options.schema.$defs || {});
      this.kept = new Set();
      this.removed = new Set();
      this.blocks = {};
    }
    async build() {
      for (const of of wanted(this.node)) this.blocks[of] = await this.options.choices(of);
      const value = this.options.value || {};
      this.keepStrangers(this.node, value);
      this.keepExtra(value);
      this.editor = new JSONEditor(this.holder, {
        schema: { ...drawn(this.node, this.blocks), title: " ", description: undefined },
        theme: "bootstrap5", iconlib: null, show_errors: "never", no_additional_properties: true, required_by_default: false, form_name_root: this.options.root || "root",
        display_required_only: false, disable_array_delete_all_rows: true, disable_array_reorder: true, disable_collapse: true, disable_array_delete_last_row: true, prompt_before_delete: false, use_default_values: true,
        startval: encode(this.node, value, this.kept),
      });
      await this.editor.promise;
      this.editor.on("change", () => this.settle());
      this.settle();
      this.tell(this.options.errors || {});
      this.holder.dataset.ready = "";
      return this;
    }
    // A block that is held but not offered (it is anonymous, or of a type that no longer fits) stays choosable.
    keepStrangers(node, value) {
      for (const [name, inner] of Object.entries(node.properties || {})) {
        const held = isObject(value) ? value[name] : undefined;
        if (inner["x-block"] && isObject(held) && held[REFERENCE]) {
          const known = this.blocks[inner["x-block"]].blocks;
          if (!known.some((item) => item.id === held[REFERENCE])) known.push({ id: held[REFERENCE], label: `another block (${String(held[REFERENCE]).slice(-8)})` });
        } else if (inner.properties) this.keepStrangers(inner, held);
      }
    }
    // Values that have no field travel along where the schema allows them.
    keepExtra(value) {
      const extra = this.node.additionalProperties ? Object.entries(value).filter(([name]) => !(name in this.node.properties)) : [];
      this.extra = Object.fromEntries(extra);
    }
    place(path) { return this.holder.querySelector(`[data-schemapath="${CSS.escape(path ? "root." + path : "root")}"]`); }
    read(rules = true) {
      const state = { kept: this.kept, removed: this.removed, hidden: this.hide(), errors: {}, rules, templates: this.options.templates };
      return { value: { ...this.extra, ...decode(this.node, this.editor.getValue(), state) }, errors: state.errors };
    }
    set(value) {
      this.keepExtra(value);
      this.editor.setValue(encode(this.node, { ...this.read(false).value, ...value }, this.kept));
    }
    // Fields that are shown only while another has a certain value.
    hide() {
      const values = this.editor.getValue(), hidden = new Set();
      for (const [name, inner] of Object.entries(this.node.properties)) {
        const rule = inner["x-shown-when"];
        if (!isObject(rule)) continue;
        const shown = Object.entries(rule).every(([other, list]) => !hidden.has(other) && [list].flat().some((item) => String(item ?? "") === String(values[other] ?? "")));
        if (!shown) hidden.add(name);
        const row = this.place(name)?.closest(".row");
        if (row) row.hidden = !shown;
      }
      return hidden;
    }
    // After each change: what the editor drew is completed.
    settle() {
      this.hide();
      this.complete(this.node, "", (path) => this.place(path));
      // Cells of a table have no label that can be seen; the heading of the column is hidden.
      this.holder.querySelectorAll("td input, td select, td textarea").forEach((input) => {
        const cell = input.closest("td"), head = input.closest("table").querySelector(`thead th:nth-child(${cell.cellIndex + 1})`)?.textContent.trim();
        const list = input.closest("[data-schematype=array]")?.querySelector(".card-title > span")?.textContent.trim();
        input.setAttribute("aria-label", [list, head === "item" ? "" : head, cell.parentNode.rowIndex].filter(Boolean).join(" "));
        if (head && head !== "item" && input.matches("input") && !input.placeholder) input.placeholder = head;
      });
    }
    complete(node, path, find) {
      const each = node.properties ? Object.entries(node.properties) : [];
      for (const [name, inner] of each) {
        const at = join(path, name), place = find(at), kind = widget(inner);
        if (!place) continue;
        if (kind === "object") { this.complete(inner, at, find); continue; }
        const input = place.querySelector("input, select, textarea");
        if (!input) continue;
        if ((node.required || []).includes(name) && kind !== "boolean" && !input.dataset.marked) {
          input.dataset.marked = "yes";
          input.setAttribute("aria-required", "true");
          place.querySelector("label")?.insertAdjacentHTML("beforeend", ' <span class="needed" title="required" aria-hidden="true">*</span>');
        }
        if (kind.startsWith("secret") && this.kept.has(at) && !input.dataset.secret) this.markKept(input, at, inner, this.options.removable !== false && !(node.required || []).includes(name));
        if (kind === "block" && !input.dataset.maker && this.options.create) this.offerNew(input, inner);
        if (kind === "list" && inner.items["x-block"] && this.options.create) place.querySelectorAll("select:not([data-maker])").forEach((select) => this.offerNew(select, inner.items));
      }
    }
    markKept(input, path, node, optional) {
      input.dataset.secret = "kept";
      input.placeholder = "Saved. Type to replace it.";
      if (!optional) return;
      const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm secret-remove", textContent: "Remove it" });
      button.setAttribute("aria-label", `Remove it: ${node.title || path}`);
      button.addEventListener("click", () => {
        const gone = !this.removed.delete(path);
        if (gone) this.removed.add(path);
        input.placeholder = gone ? "Will be removed when you save." : "Saved. Type to replace it.";
        button.textContent = gone ? "Keep it" : "Remove it";
      });
      input.insertAdjacentElement("afterend", button);
    }
    offerNew(select, node) {
      select.dataset.maker = "yes";
      const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm block-new", textContent: "New…" });
      button.setAttribute("aria-label", `New… block for ${node.title || "this field"}`);
      button.addEventListener("click", async () => {
        const made = await this.options.create(node["x-block"]);
        if (!made) { button.focus(); return; }
        this.add(node["x-block"], made);
        select.value = made.id;
        select.dispatchEvent(new Event("change", { bubbles: true }));
        select.focus();
      });
      select.insertAdjacentElement("afterend", button);
    }
    // Offer a block that was made meanwhile in every field that takes its kind.
    add(of, made) {
      if (!this.blocks[of].blocks.some((item) => item.id === made.id)) this.blocks[of].blocks.push(made);
      for (const editor of Object.values(this.editor.editors)) {
        if (!editor?.input?.matches?.("[data-maker]") || [...editor.input.options].some((option) => option.value === made.id)) continue;
        const wants = this.wantOf(editor.path);
        if (wants !== of) continue;
        editor.enum_options.push(made.id); editor.enum_display.push(made.label); editor.enum_values.push(made.id);
        editor.input.add(new Option(made.label, made.id));
      }
    }
    wantOf(path) {
      let node = this.node;
      for (const part of path.split(".").slice(1)) node = /^\d+$/.test(part) && node.items ? node.items : node.properties?.[part] || {};
      return node["x-block"];
    }
    // Show messages beside the fields they are about; returns those that belong to no field.
    tell(errors) {
      this.holder.querySelectorAll("[data-told]").forEach((said) => said.remove());
      this.holder.querySelectorAll("[aria-invalid]").forEach((input) => { input.classList.remove("is-invalid"); input.removeAttribute("aria-invalid"); input.removeAttribute("aria-describedby"); });
      const homeless = {};
      for (const [field, texts] of Object.entries(errors)) {
        const parts = field.split(".");
        let place = null;
        while (field && parts.length && !place) { place = this.place(parts.join(".")); parts.pop(); }
        const input = place?.querySelector("input, select, textarea, button");
        if (!input) { homeless[field] = texts; continue; }
        input.classList.add("is-invalid");
        input.setAttribute("aria-invalid", "true");
        const said = document.createElement("div");
        said.className = "invalid-feedback";
        said.dataset.told = "";
        said.id = `error-${this.holder.id}-${field.replace(/\W/g, "-")}`;
        said.textContent = texts.join(" ");
        input.setAttribute("aria-describedby", said.id);
        (input.matches("[data-maker], [data-secret]") && input.nextElementSibling?.matches("button") ? input.nextElementSibling : input).insertAdjacentElement("afterend", said);
      }
      return homeless;
    }
    focusWrong() { this.holder.querySelector("[aria-invalid=true]")?.focus(); }
  }
  return { Form, readable, shows, MASK };
})();
