// Drawing: the radiograph appears as its rows are drawn; the seed is shown, another one is a click away.
import { call, save, stream } from "./api.js";

const $ = (id) => document.getElementById(id);
const ROWS = 16;
let running = null;
let last = null;

function show(event, rows) {
  const picture = $("drawn");
  picture.src = `data:image/png;base64,${event.b64_json}`;
  picture.hidden = false;
  $("veil").style.transform = `translateY(${100 * rows / ROWS}%)`;
}

function readBack(reading) {
  if (!reading) return "";
  const doubt = reading.agrees === false ? " (not the condition that was asked for)" : "";
  return ` · the model reads: ${reading.text.replace(/\s+/g, " ")}${doubt}`;
}

function compared(nearest) {
  return nearest ? ` · nearest training film ${nearest.similarity.toFixed(2)} of at most ${nearest.limit.toFixed(2)}` : "";
}

export function startDrawing(say) {
  async function draw() {
    running?.abort();
    const mine = running = new AbortController();
    say(null);
    last = null;
    const prompt = $("prompt").value.trim(), seed = $("seed").value.trim(), guidance = $("guidance").value;
    const guided = guidance ? { guidance_scale: Number(guidance) } : {};
    const bestOf = Number($("best-of").value) || 1;
    const frame = document.querySelector(".frame");
    frame.classList.add("drawing");
    $("veil").style.transform = "translateY(0)";
    for (const id of ["png", "dicom", "again"]) $(id).disabled = true;
    $("stop").disabled = false;
    $("progress").textContent = bestOf > 1 ? `Drawing ${bestOf}, of which one is kept…` : "Drawing…";
    try {
      const body = JSON.stringify({ prompt, stream: true, partial_images: 3, ...guided, ...(bestOf > 1 ? { best_of: bestOf } : {}), ...(seed ? { seed: Number(seed) } : {}) });
      const options = { method: "POST", body, headers: { "Content-Type": "application/json" }, signal: mine.signal };
      await stream("/v1/images/generations", options, (event) => {
        if (event.type.endsWith("partial_image")) {
          show(event, event.rows);
          $("progress").textContent = `${event.rows} of ${ROWS} rows`;
          $("drawn-facts").textContent = `Unfinished · seed ${event.seed}`;
        } else {
          show(event, ROWS);
          last = { request: { prompt, seed: event.seed, ...guided }, png: event.b64_json };
          $("drawn").alt = `Synthetic radiograph: ${prompt}`;
          $("drawn-facts").textContent = `Synthetic · ${event.model} · seed ${event.seed}${readBack(event.reading)}${compared(event.nearest)}`;
          $("progress").textContent = "Done.";
        }
      });
    } catch (error) {
      if (error.name !== "AbortError") say(error);
      if (mine === running) $("progress").textContent = error.name === "AbortError" ? "Stopped." : "";
    } finally {
      if (mine === running) {
        frame.classList.remove("drawing");
        $("stop").disabled = true;
        for (const id of ["png", "dicom", "again"]) $(id).disabled = !last;
      }
    }
  }

  $("drawing").addEventListener("submit", (event) => { event.preventDefault(); draw(); });
  $("again").addEventListener("click", () => { $("seed").value = ""; draw(); });
  $("stop").addEventListener("click", () => running?.abort());
  $("png").addEventListener("click", () => save(`synthetic-${last.request.seed}.png`, last.png, "image/png"));
  $("dicom").addEventListener("click", async () => {
    say(null);
    try {
      const body = JSON.stringify({ ...last.request, output_format: "dicom" });
      const drawn = await (await call("/v1/images/generations", { method: "POST", body, headers: { "Content-Type": "application/json" } })).json();
      save(`synthetic-${last.request.seed}.dcm`, drawn.data[0].b64_json, "application/dicom");
    } catch (error) { say(error); }
  });
}
