// What every script here is given, and how it says what became of its cases: one JSON object, a text where one failed.
import fs from "node:fs";

// Three addresses and a data URI: `aborting` has an engine that ends every generation early, `slow` one that draws for
// seconds. The provider is the one of the client's own that is tried.
export const { service, aborting, slow, image, provider, model: MODEL } = JSON.parse(process.argv[2]);
export const REPORT = "The lungs are clear.";
export const DRAWN = "A synthetic radiograph.";

const outcomes = {};
process.on("exit", () => fs.writeSync(1, JSON.stringify(outcomes)));

export async function test(name, body) {
  try {
    await body();
    outcomes[name] = "";
  } catch (error) {
    outcomes[name] = String(error.stack ?? error);
  }
}

export function isPng(base64) {
  return Buffer.from(base64, "base64").subarray(1, 4).toString() === "PNG";
}

// What the slow service is drawing, once it is so many or two seconds have passed.
export async function drawingsInFlight(expected) {
  const until = Date.now() + 2000;
  for (;;) {
    const metrics = await (await fetch(`${slow}/metrics`)).text();
    const count = Number(/^cxr_drawings_in_flight (\S+)/m.exec(metrics)[1]);
    if (count === expected || Date.now() > until) return count;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
