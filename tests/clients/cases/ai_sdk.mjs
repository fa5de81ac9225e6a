// Vercel's AI SDK, by the provider of its own for OpenAI or by the one for whatever is compatible.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateImage, generateText, streamText } from "ai";
import {
  DRAWN, MODEL, REPORT, aborting, drawingsInFlight, image, isPng, provider, service, slow, test,
} from "./harness.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const png = Buffer.from(image.split(",")[1], "base64");
const question = [
  { role: "user", content: [{ type: "text", text: "Is there pneumonia?" }, { type: "image", image: png }] },
];
const wish = [{ role: "user", content: "Draw a chest radiograph" }];

function models(address) {
  const settings = { baseURL: `${address}/v1`, apiKey: "unused" };
  if (provider === "openai") {
    const made = createOpenAI(settings);
    return { chat: made.chat(MODEL), image: made.image(MODEL), unknown: made.chat("gpt-4"), default: made(MODEL) };
  }
  const made = createOpenAICompatible({ name: "cxr", includeUsage: true, ...settings });
  const unknown = made.chatModel("gpt-4");
  return { chat: made.chatModel(MODEL), image: made.imageModel(MODEL), unknown, default: made(MODEL) };
}

const { chat, image: painter, unknown, default: unnamed } = models(service);
const ask = (messages, options = {}) => generateText({ model: chat, messages, maxRetries: 0, ...options });
const hear = (messages, options = {}) => streamText({ model: chat, messages, maxRetries: 0, onError() {}, ...options });
const refused = (statusCode, code, param) => (error) => {
  assert.ok(APICallError.isInstance(error), error);
  const told = JSON.parse(error.responseBody).error;
  assert.deepEqual([error.statusCode, told.code, told.param], [statusCode, code, param]);
  assert.equal(error.message, told.message);
  return true;
};

async function parts(result) {
  const found = [];
  for await (const one of result.fullStream) found.push(one);
  return found;
}

await test("a question about an image is answered, and an image alone is reported", async () => {
  for (const content of [question[0].content, question[0].content.slice(1)]) {
    const done = await ask([{ role: "user", content }]);
    assert.deepEqual([done.text, done.finishReason], [REPORT, "stop"]);
    assert.ok(done.usage.inputTokens > 256 && done.usage.outputTokens > 0);
  }
});

await test("a stream ends with the text and the usage of the unstreamed answer", async () => {
  const whole = await ask(question, { seed: 7 });
  const streamed = hear(question, { seed: 7 });
  const pieces = (await parts(streamed)).filter((part) => part.type === "text-delta");
  assert.ok(pieces.length > 1);
  assert.equal(await streamed.text, whole.text);
  assert.equal(await streamed.finishReason, "stop");
  assert.equal((await streamed.usage).totalTokens, whole.usage.totalTokens);
});

await test("a second turn takes the client's own messages, streamed or not", async () => {
  for (const response of [(await ask(question)).response, await hear(question).response]) {
    const done = await ask([...question, ...response.messages, { role: "user", content: "And effusion?" }]);
    assert.equal(done.text, REPORT);
  }
});

await test("a system message is taken, and the warning about it is in the body", async () => {
  const done = await ask(question, { system: "Answer in German.", include: { responseBody: true } });
  assert.equal(done.text, REPORT);
  assert.match(done.response.body.warnings[0], /change nothing/);
});

await test("options that ask for nothing are taken", async () => {
  const sampling = { temperature: 0, topP: 1, presencePenalty: 0, frequencyPenalty: 0, maxOutputTokens: 4096 };
  for (const seed of [-1, Number.MAX_SAFE_INTEGER]) {
    const done = await ask(question, { ...sampling, stopSequences: [], toolChoice: "auto", seed });
    assert.equal(done.text, REPORT);
    assert.deepEqual(done.warnings ?? [], []);
  }
  assert.equal((await ask(question, { stopSequences: [" clear"] })).text, "The lungs are");
});

// The SDK reads text, reasoning and tool calls of a chat alone: pictures are had by its image model.
await test("a wish in a chat is answered by its text, streamed or not", async () => {
  const done = await ask(wish);
  assert.deepEqual([done.text, done.files], [DRAWN, []]);
  const streamed = hear(wish);
  assert.ok(!(await parts(streamed)).some((part) => part.type === "error"));
  assert.equal(await streamed.text, DRAWN);
});

await test("images are drawn, two at once", async () => {
  const drawn = await generateImage({ model: painter, prompt: "Normal.", n: 2, size: "256x256", maxRetries: 0 });
  assert.equal(drawn.images.length, 2);
  assert.ok(drawn.images.every((one) => one.mediaType === "image/png" && isPng(one.base64)));
  assert.equal(drawn.usage.outputTokens, 512);
});

await test("an image is edited", async () => {
  const prompt = { text: "Effusion.", images: [png] };
  const drawn = await generateImage({ model: painter, prompt, maxRetries: 0 });
  assert.ok(isPng(drawn.image.base64));
});

await test("errors have their status, code, param and words", async () => {
  const twice = [{ role: "user", content: [...question[0].content, ...question[0].content] }];
  const bare = [{ role: "user", content: "Is there pneumonia?" }];
  await assert.rejects(ask(question, { model: unknown }), refused(404, "model_not_found", "model"));
  await assert.rejects(ask(bare), refused(400, "no_image", "messages"));
  await assert.rejects(ask(twice), refused(400, "too_many_images", "messages"));
  const [error] = (await parts(hear(bare))).filter((part) => part.type === "error");
  refused(400, "no_image", "messages")(error.error);
});

await test("the provider's default API is the chat, or is refused in words", async () => {
  if (provider === "openai") {
    // It is the Responses API.
    await assert.rejects(ask(question, { model: unnamed }), refused(404, "not_found", null));
  } else {
    assert.equal((await ask(question, { model: unnamed })).text, REPORT);
  }
});

await test("a generation that breaks off in mid-stream is an error after the text so far", async () => {
  const found = await parts(hear(question, { model: models(aborting).chat }));
  const text = found.map((part) => (part.type === "text-delta" ? part.text : "")).join("");
  assert.ok(text && REPORT.startsWith(text) && text !== REPORT);
  assert.equal(found.find((part) => part.type === "error").error.code, "generation_aborted");
});

await test("an abort ends the drawing", async () => {
  const leave = new AbortController();
  const left = parts(hear(wish, { model: models(slow).chat, abortSignal: leave.signal }));
  assert.equal(await drawingsInFlight(1), 1);
  leave.abort();
  assert.ok((await left).some((part) => part.type === "abort"));
  assert.equal(await drawingsInFlight(0), 0);
});
