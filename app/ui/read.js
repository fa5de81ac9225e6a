// Reading: preview with window and level, the report as it is written, questions, what the model sees.
import { call, form, stream } from "./api.js";
import { hideFindings, showFindings } from "./findings.js";

const $ = (id) => document.getElementById(id);
let file = null;
let image = null;
let running = null;

// A binary PGM of 16 bits whose comments carry range, window and inversion.
export function parsePgm(buffer) {
  const bytes = new Uint8Array(buffer);
  const facts = {};
  const sizes = [];
  let at = 2;
  while (sizes.length < 3) {
    let end = bytes.indexOf(10, at + 1);
    const line = new TextDecoder().decode(bytes.subarray(at, end)).trim();
    if (line.startsWith("#")) { const [name, ...values] = line.slice(1).trim().split(" "); facts[name] = values.map(Number); }
    else if (line) sizes.push(...line.split(" ").map(Number));
    at = end;
  }
  const [width, height] = sizes;
  const view = new DataView(buffer, at + 1);
  const levels = Uint16Array.from({ length: width * height }, (_, index) => view.getUint16(2 * index));
  return { width, height, levels, low: facts.range[0], high: facts.range[1], window: facts.window, inverse: facts.inverse[0] === 1 };
}

function paint() {
  const canvas = $("preview");
  const { width, height, levels, low, high, inverse } = image;
  const centre = Number($("center").value), wide = Math.max(1e-6, Number($("width").value));
  $("center-value").textContent = Math.round(centre);
  $("width-value").textContent = Math.round(wide);
  const table = new Uint8ClampedArray(65536);
  for (let level = 0; level < 65536; level++) {
    const share = (low + (high - low) * level / 65535 - centre) / wide + 0.5;
    table[level] = 255 * Math.min(1, Math.max(0, inverse ? 1 - share : share));
  }
  canvas.width = width;
  canvas.height = height;
  const out = new ImageData(width, height);
  for (let index = 0; index < levels.length; index++) {
    const grey = table[levels[index]];
    out.data.set([grey, grey, grey, 255], 4 * index);
  }
  canvas.getContext("2d").putImageData(out, 0, 0);
}

function warn(sentences) {
  const list = $("warnings");
  list.hidden = !sentences.length;
  list.replaceChildren(...sentences.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence })));
}

function setWindow() {
  const span = image.high - image.low;
  for (const [id, lowest, highest, value] of [["center", image.low, image.high, image.window[0]], ["width", span / 100, span * 1.5, image.window[1]]]) {
    const slider = $(id);
    slider.min = lowest; slider.max = highest; slider.step = span > 20 ? 1 : span / 200; slider.value = value;
  }
  paint();
}

export function startReading(say) {
  async function choose(chosen) {
    if (!chosen) return;
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    file = chosen;
    say(null);
    warn([]);
    hideFindings();
    $("answers").replaceChildren();
    $("ask").hidden = $("window").hidden = $("seen").hidden = $("reconstruction-box").hidden = true;
    const report = $("report");
    report.textContent = "Reading…";
    report.setAttribute("aria-busy", "true");
    try {
      image = parsePgm(await (await call("/v1/images/preview", { method: "POST", body: form(file), signal })).arrayBuffer());
      $("seen").hidden = $("window").hidden = false;
      setWindow();
      let text = "";
      await stream("/v1/reports", { method: "POST", body: form(file), headers: { Accept: "text/event-stream" }, signal }, (event) => {
        if (event.type === "report.delta") report.textContent = text += event.delta;
        if (event.type === "report.completed") {
          report.textContent = event.report.text;
          const { width, height, source, view, warnings } = event.image;
          $("facts").textContent = [`${source.toUpperCase()}, ${width} × ${height}`, view].filter(Boolean).join(" · ");
          warn(warnings);
        }
      });
      $("ask").hidden = false;
      // Not waited for: the report is there.
      showFindings(file, signal).catch((error) => { if (error.name !== "AbortError") say(error); });
    } catch (error) {
      if (error.name === "AbortError") return;
      report.textContent = "No report.";
      say(error);
    } finally {
      report.setAttribute("aria-busy", "false");
    }
  }

  $("file").addEventListener("change", (event) => choose(event.target.files[0]));
  const drop = $("drop");
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  drop.addEventListener("drop", (event) => choose(event.dataTransfer.files[0]));
  $("center").addEventListener("input", paint);
  $("width").addEventListener("input", paint);
  $("reset").addEventListener("click", setWindow);

  $("reconstruct").addEventListener("click", async () => {
    say(null);
    try {
      const { tokens } = await (await call("/v1/images/tokens", { method: "POST", body: form(file) })).json();
      const body = JSON.stringify({ tokens });
      const drawn = await call("/v1/images/pixels", { method: "POST", body, headers: { "Content-Type": "application/json" } });
      $("reconstruction").src = URL.createObjectURL(await drawn.blob());
      $("reconstruction-box").hidden = false;
    } catch (error) { say(error); }
  });

  $("ask").addEventListener("submit", async (event) => {
    event.preventDefault();
    const question = $("question").value.trim();
    if (!question) return;
    say(null);
    $("question").value = "";
    const turn = document.createElement("li");
    const asked = document.createElement("b"), answer = document.createElement("span");
    asked.textContent = question;
    turn.append(asked, answer);
    $("answers").append(turn);
    let text = "";
    try {
      await stream("/v1/answers", { method: "POST", body: form(file, { question }), headers: { Accept: "text/event-stream" } }, (item) => {
        if (item.type === "answer.delta") answer.textContent = text += item.delta;
        if (item.type === "answers.completed") answer.textContent = item.answers[0].answer;
      });
    } catch (error) { turn.remove(); $("question").value = question; say(error); }
  });
}
