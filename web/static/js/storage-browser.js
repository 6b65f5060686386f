// Agents that look into a storage: sent, waited for, and what they find shown as folders and files.
"use strict";

const Errands = (() => {
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const icon = (name) => document.getElementById(`icon-${name}`).content.cloneNode(true);

  // One at a time: who is sent anew calls back who is under way.
  class Sender {
    // places: addresses {errand}; box: where is told how it stands.
    constructor(places, box) { this.places = places; this.box = box; this.turn = 0; this.run = null; }
    at(run, more = "") { return this.places.errand.replace("00000000-0000-0000-0000-000000000000", run) + more; }
    post(address, values = {}) { return fetch(address, { method: "POST", body: new URLSearchParams(values), headers: { "HX-Request": "true", "X-CSRF-Token": Orchestrator.csrf } }); }
    // What it found; null when it failed, which is told, or was called back.
    async send(address, values) {
      const mine = ++this.turn;
      this.callBack();
      this.tell({ title: "Sending an agent…", text: "", busy: true });
      let run;
      try {
        const answer = await this.post(address, values);
        const said = await answer.json();
        if (!answer.ok) { this.tell({ title: "No agent was sent.", text: Object.values(said.errors).flat().join(" "), bad: true }); return null; }
        run = said.run;
      } catch { this.tell({ title: "No agent was sent.", text: "The server does not answer, or you were logged out. Try again.", bad: true }); return null; }
      if (mine !== this.turn) { this.post(this.at(run, "/stop")); return null; }
      this.run = run;
      for (let wait = 150; ; wait = Math.min(wait * 1.4, 1000)) {
        await pause(wait);
        const answer = mine === this.turn ? await Orchestrator.fetchJson(this.at(run)) : null;
        if (mine !== this.turn) return null;
        if (!answer) continue;
        const now = answer.data, went = now.state === "COMPLETED";
        if (now.done) this.run = null;
        this.tell({ ...now, text: went ? "" : now.text, busy: !now.done, bad: now.done && !went, stoppable: !now.done });
        if (now.done) { if (went) this.box.hidden = true; return went ? now.value : null; }
      }
    }
    callBack() { if (this.run) this.post(this.at(this.run, "/stop")); this.run = null; }
    stop() { this.turn++; this.callBack(); this.tell({ title: "Stopped.", text: "Nobody looks any more." }); }
    tell({ title, text, log, busy, bad, stoppable }) {
      const key = JSON.stringify([title, text, busy]);
      if (key === this.said && !this.box.hidden) return; // a reader hears each thing once
      this.said = key;
      const mark = Object.assign(document.createElement("span"), { className: busy ? "spinner" : "" });
      if (bad) mark.append(icon("wrong"));
      const words = document.createElement("div");
      words.className = "grow";
      words.append(Object.assign(document.createElement("b"), { textContent: title }), ` ${text || ""} `);
      if (log) words.append(Object.assign(document.createElement("a"), { href: log, target: "_blank", rel: "noopener", textContent: "Log" }));
      const button = Object.assign(document.createElement("button"), { type: "button", className: "btn btn-sm", textContent: "Stop" });
      button.addEventListener("click", () => this.stop());
      this.box.className = bad ? "looking state-failed" : "looking";
      this.box.replaceChildren(mark, words, ...(stoppable ? [button] : []));
      this.box.hidden = false;
    }
  }
  return { Sender, icon };
})();

// Folders and files of a storage, one folder at a time.
class StorageBrowser {
  // options: box, sender, address, where: () => {block, work_queue}, label: () => text, inspect: (path) => any
  constructor(options) {
    Object.assign(this, options);
    this.path = "";
    [this.crumbs, this.list, this.said] = ["nav", "ul", "[data-place]"].map((part) => this.box.querySelector(part));
    this.box.querySelector("[data-inspect-folder]").addEventListener("click", () => this.inspect(this.path));
  }
  async open(path) {
    const found = await this.sender.send(this.address, { ...this.where(), path });
    if (!found) return false;
    this.path = found.path;
    this.box.hidden = false;
    this.drawCrumbs();
    this.drawList(found);
    this.said.textContent = found.cut ? "There is more here than is shown." : "";
    (this.list.querySelector("button") || this.box.querySelector("[data-inspect-folder]")).focus({ preventScroll: true });
    return true;
  }
  button(text, go, mark) {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    if (mark) button.append(Errands.icon(mark));
    button.append(text);
    button.addEventListener("click", go);
    return button;
  }
  drawCrumbs() {
    const parts = this.path ? this.path.split("/") : [];
    const items = [this.label(), ...parts].map((text, index, all) => {
      const item = document.createElement("li");
      if (index < all.length - 1) item.append(this.button(text, () => this.open(parts.slice(0, index).join("/"))));
      else item.append(Object.assign(document.createElement("b"), { textContent: text }));
      return item;
    });
    const list = document.createElement("ol");
    items.at(-1).setAttribute("aria-current", "location");
    list.append(...items);
    this.crumbs.replaceChildren(list);
  }
  drawList({ folders, files }) {
    const below = (name) => (this.path ? `${this.path}/${name}` : name);
    const rows = [
      ...folders.map((name) => [this.button(name, () => this.open(below(name)), "folder"), ""]),
      ...files.map((file) => [this.file(file, below(file.name)), this.size(file.size)]),
    ].map(([first, size]) => {
      const row = document.createElement("li");
      row.append(first, Object.assign(document.createElement("small"), { textContent: size }));
      return row;
    });
    if (!rows.length) rows.push(Object.assign(document.createElement("li"), { className: "text-secondary", textContent: "This folder is empty." }));
    this.list.replaceChildren(...rows);
  }
  file(file, path) {
    if (file.name.endsWith(".py")) {
      const button = this.button(file.name, () => this.inspect(path), "python");
      button.title = "Look for flows in this file";
      return button;
    }
    const plain = document.createElement("span");
    plain.append(Errands.icon("file"), file.name);
    return plain;
  }
  size(bytes) {
    if (bytes === null || bytes === undefined) return "";
    const units = ["B", "KiB", "MiB", "GiB"], power = Math.min(bytes ? Math.floor(Math.log2(bytes) / 10) : 0, 3);
    return `${(bytes / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
  }
}
