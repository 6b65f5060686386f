// Blocks to choose from, and a dialog that makes another one in the middle of a form.
"use strict";

const BlockCreate = (() => {
  // places: addresses `choices`, and, with SLUG for a type, `form` and `new`.
  function of(places) {
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
    return { choices, create };
  }
  return { of };
})();
