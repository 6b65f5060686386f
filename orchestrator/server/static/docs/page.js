// Fetches the document with the dashboard's session, or with a key that is typed in and kept for this tab.
const KEY = "orchestrator-api-key";
const ask = document.getElementById("ask");
const problem = document.getElementById("problem");

async function open(key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch("openapi.json", { headers, credentials: "same-origin" });
  if (!answer.ok) {
    sessionStorage.removeItem(KEY);
    ask.hidden = false;
    problem.textContent = key ? (await answer.json()).message : "";
    document.getElementById("key").focus();
    return;
  }
  const document_ = await answer.json();
  if (key) sessionStorage.setItem(KEY, key);
  // Paths in the document begin with /api/v1; the page may lie below a proxy's own path.
  document_.servers = [{ url: new URL("../..", window.location.href).href.replace(/\/$/, "") }];
  await show(document_, key);
}

async function show(document_, key) {
  await customElements.whenDefined("openapi-explorer");
  const explorer = document.createElement("openapi-explorer");
  for (const name of ["hide-server-selection", "collapse"]) explorer.setAttribute(name, "");
  explorer.setAttribute("primary-color", "#066fd1");
  explorer.setAttribute("nav-bg-color", "#182433");
  document.querySelector("main").replaceChildren(explorer);
  await explorer.loadSpec(document_);
  if (key) await explorer.setAuthenticationConfiguration("key", { token: key });
}

ask.addEventListener("submit", (event) => {
  event.preventDefault();
  open(document.getElementById("key").value.trim());
});

open(sessionStorage.getItem(KEY));
