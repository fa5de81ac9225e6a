// Evidence: the map of what a sentence of the report, or an answer, depends on, over the preview. Off until it is asked for.
import { call, form } from "./api.js";

const $ = (id) => document.getElementById(id);
const MEANING = "Orange marks what the model depends on when it says this. It is no finding and no outline of one: a wrong sentence has a map, too.";
const HTML = `
  <h2>Evidence</h2>
  <label for="evidence-text">What the model says</label>
  <select id="evidence-text" autocomplete="off"></select>
  <div class="row"><button id="evidence-show" type="button">Show what it depends on</button></div>
  <div id="evidence-shown" hidden>
    <p id="evidence-facts" role="status"></p>
    <p class="help">${MEANING}</p>
    <label for="evidence-opacity">Opacity of the map</label>
    <input id="evidence-opacity" type="range" min="0" max="100" value="60">
    <div class="row"><button id="evidence-hide" type="button">Hide the map</button></div>
  </div>`;

// Sentences of a report with what stands before each, and its headings left out of what is shown.
export function sentences(report) {
  const found = [];
  for (const part of report.matchAll(/[^.!?\n]+[.!?]?/g)) {
    const text = part[0].replace(/^\s*(FINDINGS|IMPRESSION):\s*/i, "").trim();
    if (!/\w/.test(text)) continue;
    const begin = part.index + part[0].indexOf(text);
    found.push({ statement: text, context: report.slice(0, begin).trimEnd() });
  }
  return found;
}

// The weights as orange of more or less opacity, on a canvas of one pixel a code.
export function paintMap(canvas, map) {
  const most = Math.max(0, ...map.flat());
  canvas.width = map[0].length;
  canvas.height = map.length;
  const out = new ImageData(canvas.width, canvas.height);
  map.flat().forEach((weight, at) => out.data.set([255, 140, 0, most > 0 ? 255 * Math.max(0, weight) / most : 0], 4 * at));
  canvas.getContext("2d").putImageData(out, 0, 0);
  return most;
}

export function startEvidence(say) {
  let file = null;
  let running = null;
  const preview = $("preview"), report = $("report");
  const frame = document.createElement("div"), overlay = document.createElement("canvas"), box = document.createElement("div");
  frame.className = "overlaid";
  preview.replaceWith(frame);
  overlay.id = "evidence-map";
  overlay.setAttribute("role", "img");
  overlay.setAttribute("aria-label", "Map of what the model depends on; no finding");
  overlay.hidden = true;
  frame.append(preview, overlay);
  box.id = "evidence";
  box.hidden = true;
  box.innerHTML = HTML;
  $("window").after(box);

  function hide() {
    running?.abort();
    running = null;
    overlay.hidden = $("evidence-shown").hidden = true;
    $("evidence-show").disabled = false;
  }
  // The model reads the square in the middle.
  function place() {
    const side = Math.min(preview.width, preview.height);
    const share = (length, of) => `${(100 * length) / of}%`;
    Object.assign(overlay.style, {
      left: share((preview.width - side) / 2, preview.width), top: share((preview.height - side) / 2, preview.height),
      width: share(side, preview.width), height: share(side, preview.height), opacity: $("evidence-opacity").value / 100,
    });
  }
  function choose(chosen) {
    if (!chosen) return;
    file = chosen;
    hide();
    box.hidden = true;
  }
  function offer() {
    if (report.getAttribute("aria-busy") === "true" || !file || $("ask").hidden) return;
    const said = sentences(report.textContent);
    $("evidence-text").replaceChildren(...said.map((one) => Object.assign(new Option(one.statement), { fields: one })));
    box.hidden = !said.length;
  }

  $("file").addEventListener("change", (event) => choose(event.target.files[0]));
  $("drop").addEventListener("drop", (event) => choose(event.dataTransfer.files[0]));
  new MutationObserver(offer).observe(report, { attributes: true, attributeFilter: ["aria-busy"] });
  $("evidence-opacity").addEventListener("input", place);
  $("evidence-hide").addEventListener("click", hide);
  $("evidence-text").addEventListener("change", hide);
  $("evidence-show").addEventListener("click", async () => {
    const { statement, context } = $("evidence-text").selectedOptions[0].fields;
    hide();
    say(null);
    running = new AbortController();
    const { signal } = running;
    $("evidence-show").disabled = true;
    try {
      const fields = context ? { statement, context } : { statement };
      const found = await (await call("/v1/evidence", { method: "POST", body: form(file, fields), signal })).json();
      if (found.image.screen.decision === "turned") throw new Error("The image was turned before it was read, so the map does not lie on it as it is shown here.");
      const most = paintMap(overlay, found.map);
      place();
      $("evidence-facts").textContent = most > 0
        ? `Without the strongest region the sentence is ${most.toFixed(2)} nats less likely.`
        : "No region makes the sentence likelier.";
      overlay.hidden = $("evidence-shown").hidden = false;
    } catch (error) {
      if (error.name !== "AbortError") say(error);
    } finally {
      if (running?.signal === signal) $("evidence-show").disabled = false;
    }
  });
}
