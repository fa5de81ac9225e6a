// OpenAI's client for JavaScript.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { DRAWN, MODEL, REPORT, aborting, drawingsInFlight, image, isPng, service, slow, test } from "./harness.mjs";

const to = (address) => new OpenAI({ baseURL: `${address}/v1`, apiKey: "unused", maxRetries: 0 });
const client = to(service);
const png = Buffer.from(image.split(",")[1], "base64");
const shown = { type: "image_url", image_url: { url: image } };
const question = [{ role: "user", content: [{ type: "text", text: "Is there pneumonia?" }, shown] }];
const wish = [{ role: "user", content: "Draw a chest radiograph" }];
const complete = (messages, options = {}) => client.chat.completions.create({ model: MODEL, messages, ...options });
const stream = (messages, options = {}) => client.chat.completions.stream({ model: MODEL, messages, ...options });

async function collected(events) {
  const found = [];
  for await (const one of events) found.push(one);
  return found;
}

await test("models are listed and found by name", async () => {
  const [model, ...others] = (await client.models.list()).data;
  assert.equal(model.id, MODEL);
  assert.deepEqual(others, []);
  assert.deepEqual(await client.models.retrieve(MODEL), model);
});

await test("an answer and an error have the id of their request", async () => {
  assert.match((await complete(question))._request_id, /^[0-9a-f]{32}$/);
  await assert.rejects(() => complete([]), (error) => /^[0-9a-f]{32}$/.test(error.requestID));
});

await test("a question about an image is answered, and an image alone is reported", async () => {
  for (const messages of [question, [{ role: "user", content: [shown] }]]) {
    const done = await complete(messages);
    assert.equal(done.choices[0].message.content, REPORT);
    assert.equal(done.choices[0].finish_reason, "stop");
    assert.equal(done.usage.total_tokens, done.usage.prompt_tokens + done.usage.completion_tokens);
  }
});

await test("the stream's own accumulator ends with the message and the usage of the unstreamed answer", async () => {
  const whole = await complete(question, { seed: 7 });
  const streamed = await stream(question, { seed: 7, stream_options: { include_usage: true } }).finalChatCompletion();
  assert.equal(streamed.choices[0].message.role, "assistant");
  assert.equal(streamed.choices[0].message.content, whole.choices[0].message.content);
  assert.equal(streamed.choices[0].finish_reason, "stop");
  assert.deepEqual(streamed.usage, whole.usage);
});

await test("a stream has its role once, several pieces of text, and usage where it is asked for alone", async () => {
  const chunks = await collected(await complete(question, { stream: true }));
  const deltas = chunks.map((chunk) => chunk.choices[0].delta);
  assert.deepEqual(deltas.map((delta) => delta.role).filter(Boolean), ["assistant"]);
  assert.ok(deltas.filter((delta) => delta.content).length > 1);
  assert.ok(chunks.every((chunk) => !("usage" in chunk)));
});

await test("a second turn takes the client's own message, streamed or not", async () => {
  const { message } = (await complete(question)).choices[0];
  for (const earlier of [message, await stream(question).finalMessage()]) {
    const done = await complete([...question, earlier, { role: "user", content: "And effusion?" }]);
    assert.equal(done.choices[0].message.content, REPORT);
  }
});

await test("a system message is answered with a warning that it changes nothing", async () => {
  const messages = [{ role: "system", content: "Answer in German." }, ...question];
  const done = await complete(messages);
  assert.equal(done.choices[0].message.content, REPORT);
  assert.match(done.warnings[0], /change nothing/);
  const chunks = await collected(await complete(messages, { stream: true }));
  assert.deepEqual(chunks.at(-1).warnings, done.warnings);
});

await test("options that ask for nothing are taken", async () => {
  const neutral = {
    n: 1, stop: null, frequency_penalty: 0, presence_penalty: 0, logit_bias: {}, logprobs: false, tools: [],
    tool_choice: "none", parallel_tool_calls: true, response_format: { type: "text" }, max_completion_tokens: 4096,
    service_tier: "auto", store: false, metadata: {}, reasoning_effort: null, user: "someone",
    safety_identifier: "someone", prompt_cache_key: "key",
  };
  for (const seed of [-1, Number.MAX_SAFE_INTEGER]) {
    assert.equal((await complete(question, { ...neutral, seed })).choices[0].message.content, REPORT);
  }
  assert.equal((await complete(question, { stop: [" clear"] })).choices[0].message.content, "The lungs are");
});

await test("a wish draws: a text in content, the picture in the message's images", async () => {
  const { message } = (await complete(wish)).choices[0];
  assert.equal(message.content, DRAWN);
  assert.ok(isPng(message.images[0].image_url.url.split(",")[1]));
  const done = await complete([...wish, message, { role: "user", content: "Is it normal?" }]);
  assert.equal(done.choices[0].message.content, REPORT);
});

await test("a streamed wish draws: the accumulator keeps text and picture", async () => {
  const message = await stream(wish).finalMessage();
  assert.equal(message.content, DRAWN);
  assert.ok(isPng(message.images[0].image_url.url.split(",")[1]));
});

await test("images are drawn, two at once", async () => {
  const drawn = await client.images.generate({ model: MODEL, prompt: "Normal.", n: 2, size: "256x256" });
  assert.equal(drawn.data.length, 2);
  assert.ok(drawn.data.every((one) => isPng(one.b64_json)));
  assert.equal(drawn.usage.output_tokens, 512);
});

await test("a streamed image, drawn or edited, is seen on the way", async () => {
  const asked = { model: MODEL, prompt: "Normal.", stream: true, partial_images: 2 };
  const file = await toFile(png, "chest.png", { type: "image/png" });
  for (const [name, events] of [
    ["image_generation", await collected(await client.images.generate(asked))],
    ["image_edit", await collected(await client.images.edit({ ...asked, image: file }))],
  ]) {
    const types = [`${name}.partial_image`, `${name}.partial_image`, `${name}.completed`];
    assert.deepEqual(events.map((event) => event.type), types);
    assert.ok(events.every((event) => isPng(event.b64_json)));
  }
});

await test("an image is edited, given alone or in a list", async () => {
  const file = await toFile(png, "chest.png", { type: "image/png" });
  for (const given of [file, [file]]) {
    const edited = await client.images.edit({ model: MODEL, image: given, prompt: "Effusion." });
    assert.ok(isPng(edited.data[0].b64_json));
  }
});

await test("a model that is not here is a NotFoundError with code model_not_found", async () => {
  for (const call of [() => client.models.retrieve("gpt-4"), () => complete(question, { model: "gpt-4" })]) {
    await assert.rejects(call, { constructor: OpenAI.NotFoundError, status: 404, code: "model_not_found" });
  }
});

await test("a question without an image is a BadRequestError with code no_image and its param", async () => {
  const messages = [{ role: "user", content: "Is there pneumonia?" }];
  const refused = { constructor: OpenAI.BadRequestError, status: 400, code: "no_image", param: "messages" };
  for (const streamed of [false, true]) {
    await assert.rejects(() => complete(messages, { stream: streamed }), refused);
  }
});

await test("two images in a message are a BadRequestError with code too_many_images and its param", async () => {
  const refused = { constructor: OpenAI.BadRequestError, status: 400, code: "too_many_images", param: "messages" };
  await assert.rejects(() => complete([{ role: "user", content: [shown, shown] }]), refused);
});

await test("what asks for something that is not offered is refused by its name", async () => {
  const tools = [{ type: "function", function: { name: "f", parameters: {} } }];
  for (const [param, value] of Object.entries({ n: 2, top_logprobs: 3, presence_penalty: 1, tools })) {
    await assert.rejects(() => complete(question, { [param]: value }), { status: 400, param });
  }
});

await test("endpoints that are not here say what is", async () => {
  for (const call of [
    () => client.responses.create({ model: MODEL, input: "x" }),
    () => client.embeddings.create({ model: MODEL, input: "x" }),
    () => client.completions.create({ model: MODEL, prompt: "x" }),
    () => client.files.list(),
    async () => client.images.createVariation({ image: await toFile(png, "chest.png") }),
  ]) {
    await assert.rejects(call, { constructor: OpenAI.NotFoundError, code: "not_found", message: /chat\/completions/ });
  }
});

await test("a generation that breaks off in mid-stream is an error after the text so far", async () => {
  let text = "";
  const read = async () => {
    const chunks = await to(aborting).chat.completions.create({ model: MODEL, messages: question, stream: true });
    for await (const chunk of chunks) text += chunk.choices[0].delta.content ?? "";
  };
  await assert.rejects(read, { constructor: OpenAI.APIError, code: "generation_aborted" });
  assert.ok(text && REPORT.startsWith(text) && text !== REPORT);
});

await test("an abort in mid-stream ends the drawings", async () => {
  const leave = new AbortController();
  const drawings = await to(slow).images.generate(
    { model: MODEL, prompt: "Normal.", n: 2, stream: true, partial_images: 3 },
    { signal: leave.signal },
  );
  for await (const _ of drawings) {
    assert.equal(await drawingsInFlight(2), 2);
    leave.abort();
  }
  assert.equal(await drawingsInFlight(0), 0);
});

await test("an abort before the answer ends the drawing", async () => {
  const leave = new AbortController();
  const left = to(slow).chat.completions.create({ model: MODEL, messages: wish }, { signal: leave.signal });
  assert.equal(await drawingsInFlight(1), 1);
  leave.abort();
  await assert.rejects(left, { constructor: OpenAI.APIUserAbortError });
  assert.equal(await drawingsInFlight(0), 0);
});
