// Calls of the HTTP API: errors become sentences, event streams become callbacks. The key lives in this module only.
let key = "";
export function setKey(value) { key = value; }

const WORDS = {
  401: "This server asks for an API key: open “API key” above and paste one.",
  403: "This API key may not do that.",
  413: "The file is too large.",
  429: "The server is busy or the key has done as much as it may. Try again in a moment.",
  503: "The server is not ready. Try again in a moment.",
  504: "It took too long.",
};

// Below the page's own address: a proxy may offer the service below a path.
export function at(path) { return new URL(path.replace(/^\//, ""), document.baseURI); }

export async function call(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(at(path), { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

// An error with the server's sentence, and its code where it has one.
async function refusal(response) {
  let detail = "", code = "";
  try {
    const body = await response.json();
    detail = body.error?.message || body.detail || "";
    code = body.error?.code || body.code || "";
  } catch { /* no body that says more */ }
  const general = [401, 429, 503].includes(response.status) || !detail;
  const words = general ? WORDS[response.status] || `The server answered ${response.status}.` : detail;
  return Object.assign(new Error(words), { code });
}

// Events of a stream, one call each with the parsed data.
export async function stream(path, options, onEvent) {
  const response = await call(path, options);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join("\n");
      if (!data) continue;
      const event = JSON.parse(data);
      if (event.error || event.status >= 400) throw new Error(event.error?.message || event.detail);
      onEvent(event);
    }
  }
}

export function form(file, fields = {}) {
  const body = new FormData();
  body.append("image", file);
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return body;
}

export function save(name, base64, type) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
