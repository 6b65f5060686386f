// What a run asks, and waits to be told: the form for the answer, which may turn up while the page is open.
"use strict";

(() => {
  async function build(form) {
    const holder = form.querySelector(".schema-form"), raw = form.querySelector("[data-raw]"), text = form.elements.input;
    const fields = new ParameterFields({ holder, raw, text, mode: form.querySelector("[data-json-mode]") }, { schema: JSON.parse(holder.dataset.schema) });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const found = fields.asJson ? fields.read() : fields.fields.read();
      FormSend.tell(form, fields, found.errors);
      if (!Object.keys(found.errors).length) await FormSend.send(form, fields, form.action, { input: JSON.stringify(found.value) });
    });
    await fields.build();
  }
  function look() {
    for (const form of document.querySelectorAll("form[data-question]:not([data-built])")) { form.dataset.built = ""; build(form); }
  }
  document.addEventListener("DOMContentLoaded", look);
  document.addEventListener("orchestrator:live", look);
})();
