// The document of a chain, changed as one draws: what a step waits for and how that has to end, names, and what there is.
"use strict";

const ChainDocument = (() => {
  const ENDS = ["completed", "failed", "crashed", "cancelled"];
  const list = (value) => (value === undefined || value === null ? [] : [].concat(value).map(String));

  // Which steps a step waits for, and whether one of them will do.
  function after(step) {
    const value = step.after, words = value !== null && typeof value === "object" && !Array.isArray(value) ? value : null;
    return words ? { names: list(words.any ?? words.all), any: words.any !== undefined } : { names: list(value), any: false };
  }
  function setAfter(step, names, any) {
    if (names.length > 1) step.after = any ? { any: names } : names;
    else if (names.length) [step.after] = names;
    else for (const key of ["after", "on", "delay"]) delete step[key]; // it is started with the chain
  }
  function ends(step) {
    const said = list(step.on ?? "completed");
    return ENDS.filter((end) => said.includes(end) || said.includes("ended"));
  }
  function setEnds(step, wanted) {
    const kept = ENDS.filter((end) => wanted.includes(end));
    if (kept.length === 1 && kept[0] === "completed") delete step.on;
    else step.on = kept.length === ENDS.length ? "ended" : kept.length === 1 ? kept[0] : kept;
  }
  // What stands at the connections into a step.
  function says(step) {
    const { names, any } = after(step), how = ends(step);
    const end = how.length === ENDS.length ? "ended" : how.length === 1 && how[0] === "completed" ? "" : how.join(" or ");
    return [any && names.length > 1 ? "any" : "", end].join(" ").trim();
  }
  function sentence(step) {
    const { names, any } = after(step), how = ends(step);
    if (!names.length) return "starts the chain";
    return `after ${names.join(any ? " or " : " and ")}: ${how.length === ENDS.length ? "ended in any way" : how.join(" or ") || "?"}`;
  }
  // A name for a step of a deployment, not yet taken.
  function freeName(chain, deployment) {
    const base = deployment.split("/").pop().replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^[-_]+/, "").slice(0, 90) || "step";
    let name = base;
    for (let number = 2; Object.hasOwn(chain.steps, name); number++) name = `${base}-${number}`;
    return name;
  }
  function rename(chain, from, to) {
    chain.steps = Object.fromEntries(Object.entries(chain.steps).map(([name, step]) => [name === from ? to : name, step]));
    for (const step of Object.values(chain.steps)) {
      const { names, any } = after(step);
      if (names.includes(from)) setAfter(step, names.map((name) => (name === from ? to : name)), any);
    }
  }
  function remove(chain, name) {
    delete chain.steps[name];
    for (const other of Object.keys(chain.steps)) disconnect(chain, name, other);
  }
  // Whether there is a connection now that was not there before.
  function connect(chain, from, to) {
    const { names, any } = after(chain.steps[to]);
    if (from === to || names.includes(from)) return false;
    setAfter(chain.steps[to], [...names, from], any);
    return true;
  }
  function disconnect(chain, from, to) {
    const { names, any } = after(chain.steps[to]);
    if (names.includes(from)) setAfter(chain.steps[to], names.filter((name) => name !== from), any);
  }
  return { ENDS, after, setAfter, ends, setEnds, says, sentence, freeName, rename, remove, connect, disconnect };
})();
