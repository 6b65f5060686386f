// Fields for a time zone: the names to choose from, and the reader's own zone where a new form has none.
"use strict";

document.getElementById("zones")?.replaceChildren(...["UTC", ...(Intl.supportedValuesOf?.("timeZone") || [])].map((zone) => new Option("", zone)));
for (const field of document.querySelectorAll("[data-zone-default]")) if (!field.value) field.value = Orchestrator.zone();
