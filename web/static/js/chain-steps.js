// The list of a chain's steps beside its drawing: all that the canvas does, without a mouse, and the fields of each step.
"use strict";

// list: the element; template: of a step; told: choose(name), changed(shape), rename(from, to), remove(name); schema(name).
function ChainSteps(list, template, told, schema) {
  const items = new Map(); // by name: {name, node, open, parameters, given}
  let chain = { steps: {} }, serial = 0;
  const part = (item, name) => item.node.querySelector(`[data-part=${name}]`);
  const element = (tag, facts = {}) => Object.assign(document.createElement(tag), facts);
  const stepOf = (item) => chain.steps[item.name];

  function make(name) {
    const node = template.content.firstElementChild.cloneNode(true), item = { name, node, parameters: null };
    const number = (serial += 1);
    node.querySelectorAll("[data-id]").forEach((one) => { one.id = `step-${number}-${one.dataset.id}`; });
    for (const attribute of ["for", "aria-controls", "aria-describedby", "aria-labelledby"]) {
      node.querySelectorAll(`[${attribute}]`).forEach((one) => one.setAttribute(attribute, one.getAttribute(attribute).split(" ").map((id) => `step-${number}-${id}`).join(" ")));
    }
    part(item, "head").addEventListener("click", () => told.choose(item.open ? "" : item.name));
    part(item, "remove").addEventListener("click", () => told.remove(item.name));
    part(item, "name").addEventListener("change", ({ target }) => {
      const wanted = target.value.trim();
      if (!wanted || Object.hasOwn(chain.steps, wanted)) {
        target.value = item.name;
        if (wanted && wanted !== item.name) Orchestrator.toast(`There is a step ${wanted} already.`, "danger");
        return;
      }
      const before = item.name;
      items.delete(before);
      items.set(wanted, item);
      item.name = wanted;
      told.rename(before, wanted);
    });
    part(item, "deployment").addEventListener("change", ({ target }) => { stepOf(item).deployment = target.value.trim(); told.changed(true); parameters(item); });
    part(item, "another").addEventListener("change", ({ target }) => { if (ChainDocument.connect(chain, target.value, item.name)) told.changed(true); });
    part(item, "any").addEventListener("change", ({ target }) => { ChainDocument.setAfter(stepOf(item), ChainDocument.after(stepOf(item)).names, target.value === "any"); told.changed(true); });
    part(item, "ends").addEventListener("change", () => { ChainDocument.setEnds(stepOf(item), [...part(item, "ends").querySelectorAll(":checked")].map(({ value }) => value)); told.changed(true); });
    const texts = { delay: (text) => (text === "" ? undefined : /^\d+(\.\d+)?$/.test(text) ? +text : text), tags: (text) => tagsOf(text), priority: (text) => (text === "" ? undefined : Number.isInteger(+text) ? +text : text) };
    for (const [key, read] of Object.entries(texts)) part(item, key).addEventListener("change", ({ target }) => { put(stepOf(item), key, read(target.value.trim())); told.changed(false); });
    for (const kind of ["change", "focusout", "click"]) part(item, "parameters").addEventListener(kind, () => setTimeout(() => keep(item)));
    return item;
  }
  function tagsOf(text) { const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean); return tags.length ? tags : undefined; }
  function put(step, key, value) { if (value === undefined) delete step[key]; else step[key] = value; }

  // What the fields of parameters hold goes into the document.
  function keep(item) {
    const step = stepOf(item);
    if (!step || !item.parameters) return;
    const { value, errors } = item.parameters.chosen(item.given);
    item.unread = Object.keys(errors).length ? Object.entries(errors).map(([name, texts]) => [name, texts].filter((word) => word.length).join(": ")) : [];
    if (value && !item.unread.length && JSON.stringify(value) !== JSON.stringify(step.parameters || {})) {
      put(step, "parameters", Object.keys(value).length ? value : undefined);
      told.changed(false);
    }
  }
  async function parameters(item) {
    const step = stepOf(item), deployment = step.deployment || "";
    if (item.asked === deployment) return;
    item.asked = deployment;
    const known = await schema(deployment);
    if (item.asked !== deployment || stepOf(item) !== step) return;
    item.given = { ...(step.parameters || {}) };
    const text = part(item, "text");
    text.value = JSON.stringify(item.given, null, 2);
    item.parameters = null;
    item.parameters = await new ParameterFields({ holder: part(item, "fields"), raw: part(item, "raw"), text, mode: part(item, "mode") }, { schema: known, errors: {}, templates: true }).build();
    item.node.dataset.ready = "yes";
  }
  // The steps that it waits for, and how: whenever a connection came or went.
  function waits(item) {
    const step = stepOf(item), { names, any } = ChainDocument.after(step), how = ChainDocument.ends(step);
    part(item, "waits").replaceChildren(...names.map((name) => {
      const drop = element("button", { type: "button", className: "chip", title: `Do not wait for ${name}` });
      drop.setAttribute("aria-label", `Do not wait for ${name}`);
      drop.append(name, document.getElementById("icon-remove").content.cloneNode(true));
      drop.addEventListener("click", () => { ChainDocument.disconnect(chain, name, item.name); told.changed(true); part(item, "another").focus(); });
      return element("li").appendChild(drop).parentNode;
    }));
    const others = Object.keys(chain.steps).filter((name) => name !== item.name && !names.includes(name));
    const first = new Option(names.length ? "Wait for another step\u2026" : "Starts with the chain. Wait for\u2026", "");
    part(item, "another").replaceChildren(first, ...others.map((name) => new Option(name)));
    part(item, "another").disabled = !others.length;
    part(item, "when").hidden = !names.length;
    part(item, "any").closest("div").hidden = names.length < 2;
    part(item, "any").value = any ? "any" : "all";
    part(item, "ends").querySelectorAll("input").forEach((box) => { box.checked = how.includes(box.value); });
    part(item, "delay").value = step.delay ?? "";
  }
  function fill(item) {
    const step = stepOf(item);
    part(item, "name").value = item.name;
    part(item, "deployment").value = step.deployment || "";
    part(item, "tags").value = [].concat(step.tags ?? []).join(", ");
    part(item, "priority").value = step.priority ?? "";
    part(item, "more").open = Boolean(step.tags?.length || step.priority);
    waits(item);
    parameters(item);
  }
  // errors: texts by field, by step.
  function draw(document_, chosen, errors) {
    chain = document_;
    for (const [name, item] of [...items]) if (!Object.hasOwn(chain.steps, name)) { item.node.remove(); items.delete(name); }
    for (const name of Object.keys(chain.steps)) {
      const item = items.get(name) || make(name), open = chosen.step === name;
      items.set(name, item);
      if (!item.node.isConnected) list.append(item.node);
      item.node.dataset.step = name;
      part(item, "title").textContent = name;
      part(item, "says").textContent = `${stepOf(item).deployment || "no deployment"}, ${ChainDocument.sentence(stepOf(item))}`;
      part(item, "head").setAttribute("aria-expanded", open);
      part(item, "body").hidden = !open;
      if (open && !item.open) fill(item); else if (open) waits(item);
      item.open = open;
      tell(item, errors.get(name) || []);
    }
  }
  // errors: [field, texts] each.
  function tell(item, errors) {
    const told_ = part(item, "errors");
    told_.hidden = !errors.length;
    const shown = errors.flatMap(([field, texts]) => texts.map((text) => (field ? `${field}: ${text}` : text)));
    if (told_.textContent !== shown.join("")) told_.replaceChildren(...shown.map((text) => element("div", { textContent: text })));
    const wrong = new Set(errors.map(([field]) => field.split(".")[0]));
    for (const [field, name] of [["deployment", "deployment"], ["after", "another"], ["delay", "delay"], ["tags", "tags"], ["priority", "priority"], ["", "name"], ["parameters", "text"]]) {
      const input = part(item, name);
      input.classList.toggle("is-invalid", wrong.has(field));
      if (wrong.has(field)) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    }
  }
  // Everything that is typed and not yet told; gives what cannot be read, by step.
  function read() {
    const found = new Map();
    for (const item of items.values()) {
      if (item.open) keep(item);
      if (item.parameters && item.unread?.length) found.set(item.name, [["parameters", item.unread]]);
    }
    return found;
  }
  function focus(name, where = "head") {
    const item = items.get(name);
    if (!item) return;
    part(item, where).focus({ preventScroll: true });
    if (list.scrollHeight > list.clientHeight) list.scrollTop = item.node.offsetTop - list.offsetTop;
    else part(item, "head").scrollIntoView({ block: "nearest" });
  }
  function forget() { for (const item of items.values()) item.node.remove(); items.clear(); }
  return { draw, read, focus, forget };
}
