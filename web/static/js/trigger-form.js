// The builder of triggers: what is typed is sent after a moment, and the server's answer (form, YAML, sentence, what is
// wrong) is laid over the page, unless more was typed meanwhile. Then the time line is asked for.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const form = document.getElementById("trigger-form"), builder = document.getElementById("builder"), line = document.getElementById("replay");
  const parts = () => document.getElementById("trigger-parts");
  let edits = 0, pending = false, changed = Boolean(document.getElementById("refused")), leaving = false, timer = null;

  const post = async (address, body) => {
    const answer = await fetch(address, { method: "POST", body: new URLSearchParams(body), headers: { "HX-Request": "true", "X-CSRF-Token": Orchestrator.csrf } });
    const elsewhere = answer.headers.get("HX-Redirect");
    if (elsewhere) { Orchestrator.toast("You were logged out. Log in in another tab; what you typed stays here.", "danger"); throw new Error("logged out"); }
    if (!answer.ok) throw new Error(await answer.text());
    return answer.text();
  };
  const template = (html) => Object.assign(document.createElement("template"), { innerHTML: html }).content;

  // ------------------------------------------------------------- form, YAML
  async function check(act = "") {
    clearTimeout(timer);
    const known = edits, body = new FormData(form);
    if (act) body.set("act", act);
    form.dataset.state = "checking";
    try {
      const html = await post(form.dataset.check, body);
      if (known !== edits) return;
      pending = false;
      Idiomorph.morph(builder, html, { morphStyle: "innerHTML" });
      Orchestrator.paint(builder);
      if (act.startsWith("add:")) focusNew(act.slice(4).split("=")[0]);
      form.dataset.state = "checked";
      replay();
    } catch (error) {
      form.dataset.state = "failed";
      if (error.message !== "logged out") Orchestrator.toast(error.message.slice(0, 300) || "The server does not answer.", "danger");
    } finally { builder.inert = false; }
  }
  function focusNew(place) {
    const fields = builder.querySelectorAll(`[name^="f:${CSS.escape(place)}."]:not([type=hidden])`), last = fields[fields.length - 1];
    if (!last) return;
    const row = last.name.slice(2 + place.length + 1).split(".")[0];
    const own = [...fields].filter((item) => item.name.startsWith(`f:${place}.${row}`));
    (own.find((item) => !item.value) || own[0]).focus();
  }
  function edited(target, wait) {
    if (!target.name || target.name === "days") return;
    if (target.name === "side") { if (pending) { builder.inert = true; check(); } return; }
    form.elements.edited.value = target.name === "yaml" ? "yaml" : "form";
    edits += 1;
    pending = changed = true;
    form.dataset.state = "waiting";
    clearTimeout(timer);
    timer = setTimeout(check, wait);
  }
  form.addEventListener("input", (event) => edited(event.target, 350));
  form.addEventListener("change", (event) => event.target.matches("select") && edited(event.target, 0));
  document.querySelectorAll("[name=side]").forEach((side) => side.addEventListener("change", () => edited(side, 0)));
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]"), field = event.target.closest("[data-field]");
    if (event.target.closest("[data-copy-yaml]")) navigator.clipboard?.writeText(form.elements.yaml.value).then(() => Orchestrator.toast("Copied"), () => form.elements.yaml.select());
    if (event.target.closest("[data-replay-now]")) replay(true);
    if (field) { event.preventDefault(); document.getElementById("side-form").checked = true; document.getElementById(field.dataset.field)?.focus(); }
    if (!button) return;
    const place = button.closest("[data-rows]")?.dataset.rows;
    const kind = button.dataset.act.endsWith("=") ? form.querySelector(`[data-kind="${place}"]`).value : "";
    form.elements.edited.value = "form";
    edits += 1;
    pending = changed = true;
    check(button.dataset.act + kind);
  });
  form.addEventListener("submit", () => { leaving = true; });
  addEventListener("beforeunload", (event) => { if (changed && !leaving) event.preventDefault(); });

  // -------------------------------------------------------------- time line
  let looking = false, again = false, shown = "";
  async function replay(asked = false) {
    const body = new FormData(form), key = body.get("base") + body.get("days");
    if (key === shown && !asked) return;
    if (looking) { again = true; return; }
    looking = true;
    line.setAttribute("aria-busy", "true");
    try {
      const html = await post(form.dataset.replay, body);
      shown = key;
      line.replaceChildren(template(html));
      Orchestrator.paint(line);
    } catch { /* the next change asks again */ } finally {
      looking = false;
      line.removeAttribute("aria-busy");
      if (again) { again = false; replay(); }
    }
  }
  function tell(event) {
    const mark = event.target.closest(".replay-mark");
    if (!mark) return;
    if (event.type === "click") event.preventDefault();
    line.querySelectorAll(".replay-told").forEach((told) => { told.hidden = `#${told.id}` !== mark.getAttribute("href"); });
    line.querySelectorAll(".replay-mark").forEach((one) => one.classList.toggle("on", one === mark));
  }
  line.addEventListener("click", tell);
  line.addEventListener("focusin", tell);
  document.getElementById("days").addEventListener("change", () => replay());

  document.getElementById("refused")?.focus();
  replay();
  form.dataset.state = "checked";
});
