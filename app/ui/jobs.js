// Studies: what was received, how far each has come, why one failed.
import { call } from "./api.js";

const $ = (id) => document.getElementById(id);

function cell(...content) {
  const made = document.createElement("td");
  made.append(...content);
  return made;
}

async function row(item) {
  const job = await (await call(`/v1/jobs/${item.id}`)).json();
  const made = document.createElement("tr"), state = document.createElement("span"), id = document.createElement("code");
  state.className = `state-${job.state}`;
  state.textContent = job.state;
  id.textContent = job.id.slice(0, 12);
  const steps = job.steps.map((step) => `${step.name} ${step.ms < 1000 ? Math.round(step.ms) + " ms" : (step.ms / 1000).toFixed(1) + " s"}`);
  const warnings = (job.warnings || []).map((warning) => `Warning: ${warning}`);
  const result = [...warnings, job.reason?.detail || job.report?.text].filter(Boolean).join("\n");
  made.append(cell(state), cell(id), cell(new Date(job.created * 1000).toLocaleString()), cell(steps.join(", ")), cell(result));
  return made;
}

export function startJobs(say, visible) {
  async function refresh() {
    try {
      const listed = await (await call("/v1/jobs?limit=20")).json();
      $("rows").replaceChildren(...await Promise.all(listed.data.map(row)));
      $("no-jobs").hidden = listed.data.length > 0;
    } catch (error) { say(error); }
  }
  setInterval(() => { if (visible()) refresh(); }, 4000);
  return refresh;
}
