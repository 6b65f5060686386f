// Who is told of a deployment's runs: a row each, a notifier block and the states in which it is told.
"use strict";

class NotificationRows {
  // options: list, none (shown without any), choices: async () => [{id, label}], create: async () => {id, label} | null
  constructor(options) {
    Object.assign(this, options);
    this.rows = [];
    this.made = 0;
    this.pattern = document.getElementById("notification-row");
  }
  async add(given = {}) {
    const node = this.pattern.content.cloneNode(true).querySelector("li"), number = ++this.made, select = node.querySelector("select");
    select.id = `notifier-${number}`;
    node.querySelector("label").htmlFor = select.id;
    const row = { node, select, boxes: [...node.querySelectorAll("input[type=checkbox]")] };
    this.rows.push(row);
    this.list.append(node);
    this.offer(row, await this.choices());
    // A document names a block by its label, a choice by its id.
    const held = [...select.options].find((option) => [option.value, option.text].includes(given.block));
    if (given.block && !held) select.add(new Option(given.block, given.block, true, true)); else if (held) select.value = held.value;
    const on = given.on || ["failed", "crashed"];
    for (const box of row.boxes) box.checked = on.includes(box.value);
    row.before = on;
    node.querySelector("[data-new-notifier]").addEventListener("click", async (event) => {
      const made = await this.create();
      if (!made) { event.target.focus(); return; }
      for (const other of this.rows) this.offer(other, [made]);
      select.value = made.id;
      select.focus();
      select.dispatchEvent(new Event("input", { bubbles: true }));
    });
    node.querySelector("[data-remove]").addEventListener("click", () => {
      this.rows.splice(this.rows.indexOf(row), 1);
      node.remove();
      this.count();
      document.querySelector("[data-add-notification]").focus();
      this.list.dispatchEvent(new Event("input", { bubbles: true }));
    });
    this.count();
    return row;
  }
  offer({ select }, blocks) { for (const block of blocks) if (![...select.options].some((option) => option.value === block.id)) select.add(new Option(block.label, block.id)); }
  count() {
    this.rows.forEach(({ node }, index) => { node.querySelector("legend").textContent = `Notification ${index + 1}`; node.querySelector("[data-remove]").setAttribute("aria-label", `Remove notification ${index + 1}`); });
    this.none.hidden = this.rows.length > 0;
  }
  read() {
    const errors = {};
    const value = this.rows.map(({ select, boxes, before }, index) => {
      // In the order that was; states that the form does not offer travel along.
      const kept = before.filter((state) => boxes.find((box) => box.value === state)?.checked ?? true);
      const on = [...kept, ...boxes.filter((box) => box.checked && !kept.includes(box.value)).map((box) => box.value)];
      if (!select.value) errors[`notifications.${index}.block`] = ["Choose a notifier, or make one."];
      else if (!on.length) errors[`notifications.${index}.on`] = ["Choose a state at least, or remove it."];
      return { block: select.value, on };
    });
    return { value, errors };
  }
  input(path) { return this.rows[Number(path.split(".")[1])]?.select || null; }
  said() { return this.rows.length ? this.rows.map(({ select }) => select.selectedOptions[0]?.text || "?").join(", ") : "Nobody"; }
}
