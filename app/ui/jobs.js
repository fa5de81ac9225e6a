// Studies: what was received, how far each has come, why one failed.
import { call } from "./api.js";

const $ = (id) => document.getElementById(id);

function cell(...content) {
  const made = document.createElement("td");
  made.append(...content);
  return made;
}

// What a person may do with a job: release its report from review, run it again.
const ACTIONS = { review: ["release", "Release"], failed: ["retry", "Retry"], cancelled: ["retry", "Retry"] };

function actions(job, changed) {
  const [path, word] = ACTIONS[job.state] || [];
  if (!path) return [];
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: word });
  button.setAttribute("aria-label", `${word} job ${job.id.slice(0, 12)}`);
  button.addEventListener("click", () => { button.disabled = true; changed(`/v1/jobs/${job.id}/${path}`); });
  return [button];
}

function urgency(job) {
  const said = document.createElement("span"), { priority, abnormal } = job;
  said.textContent = priority || "none given";
  said.className = `priority-${priority || "none"}`;
  if (!abnormal) return [said];
  const why = Object.assign(document.createElement("span"), { className: "help" });
  const percent = abnormal.probability.toLocaleString(undefined, { style: "percent", maximumFractionDigits: 1 });
  why.textContent = `abnormal ${percent}, ${abnormal.calibrated ? "calibrated" : "not calibrated"}`;
  return [said, document.createElement("br"), why];
}

async function row(item, changed) {
  const job = await (await call(`/v1/jobs/${item.id}`)).json();
  const made = document.createElement("tr"), state = document.createElement("span"), id = document.createElement("code");
  state.className = `state-${job.state}`;
  state.textContent = job.state;
  id.textContent = job.id.slice(0, 12);
  const steps = job.steps.map((step) => `${step.name} ${step.ms < 1000 ? Math.round(step.ms) + " ms" : (step.ms / 1000).toFixed(1) + " s"}`);
  const warnings = (job.warnings || []).map((warning) => `Warning: ${warning}`);
  const result = [...warnings, job.reason?.detail || job.report?.text].filter(Boolean).join("\n");
  made.append(cell(state, ...actions(job, changed)), cell(...urgency(job)), cell(id), cell(new Date(job.created * 1000).toLocaleString()), cell(steps.join(", ")), cell(result));
  return made;
}

export function startJobs(say, visible) {
  async function changed(path) {
    say(null);
    try { await call(path, { method: "POST" }); } catch (error) { say(error); }
    await refresh();
  }

  async function refresh() {
    const order = $("order").value;
    $("order-note").hidden = order !== "priority";
    try {
      const listed = await (await call(`/v1/jobs?limit=20&order=${order}`)).json();
      const rows = await Promise.all(listed.data.map((item) => row(item, changed)));
      const { activeElement } = document, focused = $("rows").contains(activeElement) && activeElement.getAttribute("aria-label");
      $("rows").replaceChildren(...rows);
      // A row that is drawn anew keeps the focus of who is about to press its button.
      if (focused) [...$("rows").querySelectorAll("button")].find((button) => button.getAttribute("aria-label") === focused)?.focus();
      $("no-jobs").hidden = listed.data.length > 0;
    } catch (error) { say(error); }
  }
  $("order").addEventListener("change", refresh);
  setInterval(() => { if (visible()) refresh(); }, 4000);
  return refresh;
}
