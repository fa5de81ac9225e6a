// The findings of the radiograph that is read, as bars: how probable the model holds each, and what that is worth.
import { call, form } from "./api.js";

const $ = (id) => document.getElementById(id);
const CALIBRATED = "Calibrated on films of which the answer is known. On films of another hospital, age or prevalence it may be otherwise.";
const NOT_CALIBRATED = "Not calibrated: how probable the model itself holds it, which may be far from the truth.";
const MIXED = "What is marked as not calibrated is how probable the model itself holds it, which may be far from the truth.";
const PERCENT = { style: "percent", maximumFractionDigits: 1 };

function percent(value) { return value.toLocaleString(undefined, PERCENT); }

function made(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

// A bar of a probability; `cut` is the operating point of Youden, where the finding has one.
function bar(name, probability, calibrated, cut) {
  const row = made("li", "finding"), label = made("span", "finding-name", name), value = made("span", "finding-value", percent(probability));
  const meter = Object.assign(made("meter", ""), { min: 0, max: 1, value: probability });
  meter.setAttribute("aria-label", `${name}: ${percent(probability)}, ${calibrated ? "calibrated" : "not calibrated"}`);
  const track = made("span", "finding-track");
  track.append(meter);
  if (cut) {
    const mark = made("span", "finding-cut");
    mark.style.left = `${100 * cut.threshold}%`;
    mark.setAttribute("aria-hidden", "true");
    track.append(mark);
  }
  row.append(label, track, value);
  const words = [calibrated ? "" : "not calibrated"];
  if (cut) words.push(`${probability >= cut.threshold ? "at or above" : "below"} the operating point ${percent(cut.threshold)} (sensitivity ${percent(cut.sensitivity)}, specificity ${percent(cut.specificity)})`);
  const said = words.filter(Boolean).join("; ");
  if (said) row.append(made("span", "finding-words help", said));
  return row;
}

export function hideFindings() { $("findings").hidden = true; }

// Ask for the findings of a file. A bundle that declares none has nothing to show; any other failure is said.
export async function showFindings(file, signal) {
  let body;
  try {
    body = await (await call("/v1/findings", { method: "POST", body: form(file), signal })).json();
  } catch (error) {
    if (error.code === "findings_not_offered") return;
    throw error;
  }
  const bars = body.findings.map((one) => bar(one.name, one.probability, one.calibrated, one.operating_points?.youden));
  if (body.abnormal) bars.unshift(bar("abnormal", body.abnormal.probability, body.abnormal.calibrated));
  $("finding-bars").replaceChildren(...bars);
  const all = body.calibrated, none = !body.findings.some((one) => one.calibrated);
  $("finding-note").textContent = all ? CALIBRATED : none ? NOT_CALIBRATED : `${CALIBRATED} ${MIXED}`;
  $("finding-note").dataset.calibrated = all;
  $("findings").hidden = false;
}
