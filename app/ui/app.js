// The page: tabs, the status strip, errors in words. Each view is a module of its own.
import { at, call, setKey } from "./api.js";
import { startReading } from "./read.js";
import { startDrawing } from "./draw.js";
import { startJobs } from "./jobs.js";
import { startEvidence } from "./evidence.js";

const $ = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll("[role=tab]")];
const shown = new Map();

export function say(error) {
  const box = $("error");
  box.hidden = !error;
  box.textContent = error ? error.message || String(error) : "";
}

function select(tab, focus) {
  for (const other of tabs) {
    const on = other === tab;
    other.setAttribute("aria-selected", on);
    other.tabIndex = on ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !on;
  }
  say(null);
  if (focus) tab.focus();
  shown.get(tab.id)?.();
}

tabs.forEach((tab, index) => {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const to = step ? (index + step + tabs.length) % tabs.length : { Home: 0, End: tabs.length - 1 }[event.key];
    if (to !== undefined) { event.preventDefault(); select(tabs[to], true); }
  });
});

async function refreshStrip() {
  const ready = $("ready");
  try {
    const body = await (await fetch(at("/readyz"))).json();
    ready.dataset.state = body.status === "ready" ? "ready" : "wait";
    const wrong = Object.entries(body.parts).filter(([, state]) => state !== "ok").map(([part, state]) => `${part}: ${state}`);
    ready.textContent = wrong.length ? `not ready (${wrong.join(", ")})` : "ready";
    $("queue").textContent = `${body.under_way} under way`;
    const bundle = (await (await fetch(at("/version"))).json()).bundle;
    $("model").textContent = bundle ? `${bundle.name}-${bundle.version}` : "";
  } catch {
    ready.dataset.state = "down";
    ready.textContent = "the server does not answer";
    $("queue").textContent = $("model").textContent = "";
  }
}

$("key").addEventListener("input", (event) => { setKey(event.target.value.trim()); say(null); });
startReading(say);
startEvidence(say);
startDrawing(say);
shown.set("tab-jobs", startJobs(say, () => $("tab-jobs").getAttribute("aria-selected") === "true"));
refreshStrip();
setInterval(refreshStrip, 5000);
export { call };
