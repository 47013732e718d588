// Sends each example message with @great-detail/whatsapp, which takes Meta's own form.
import { Client } from "@great-detail/whatsapp";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { APP_SECRET, BASE_URL, EXAMPLES, NUMBER, TOKEN, VERIFY_TOKEN, attempt, stage, tell } from "./stage.mjs";

const client = new Client({ prefixUrl: BASE_URL, request: { headers: { Authorization: "Bearer " + TOKEN }, retry: 0 } });

// send takes a body in Meta's form.
async function send({ messaging_product, recipient_type, ...body }, options = {}) {
  const call = body.status ? client.message.createStatus : client.message.createMessage;
  const answer = await call.call(client.message, { phoneNumberID: NUMBER, ...recipient_type && { recipientType: recipient_type }, ...body, ...options }).json();
  return { id: answer.messages?.[0].id, success: answer.success };
}

const to = "+33612345678", text = { to, type: "text", text: { body: "x" } };
const refusals = {
  "too long": [{ ...text, text: { body: "x".repeat(4097) } }],
  "no recipient": [{ type: "text", text: { body: "x" } }],
  "no type": [{ ...text, type: "txt" }],
  "window": [{ ...text, to: "+33199001047" }],
  "limit": [{ ...text, to: "+33199000429" }],
  "template": [{ to, type: "template", template: { name: "unknown", language: { code: "fr" } } }],
  "parameters": [{ to, type: "template", template: { name: "order_shipped", language: { code: "fr" } } }],
  "number": [text, { phoneNumberID: "0" }],
  "token": [text, { request: { headers: { Authorization: "Bearer expired" } } }],
};

async function explain(error) {
  if (!error.response) return;
  const { error: { code, message, fbtrace_id: trace, error_data } } = await error.response.json();
  return { status: error.response.status, code, message, trace, details: error_data?.details };
}

async function refuse() {
  for (const [name, wrong] of Object.entries(refusals)) await attempt(name, () => send(...wrong), explain);
}

async function sendAll() {
  for (const file of readdirSync(EXAMPLES).filter(name => name.endsWith(".json"))) {
    await attempt(file, () => send(JSON.parse(readFileSync(join(EXAMPLES, file), "utf8"))), explain);
  }
  await attempt("upload", async () => {
    const file = new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])], { type: "image/png" });
    const { id } = await client.media.upload({ phoneNumberID: NUMBER, file, filename: "a.png", mimeType: "image/png" }).json();
    const { mime_type: mimeType, file_size: size } = await client.media.getURL({ mediaID: id }).json();
    const sent = await send({ to, type: "image", image: { id } });
    await client.media.delete({ mediaID: id }).json();
    return { ...sent, mimeType, size: Number(size) };
  }, explain);
}

await stage(async request => {
  const registration = await client.webhook.register(request);
  if (registration.verifyToken !== VERIFY_TOKEN) throw new Error("wrong verify token");
  return registration.accept();
}, async request => {
  const event = await client.webhook.eventNotification(request);
  await event.verifySignature(APP_SECRET);
  if (!await event.signature.sha1.check(APP_SECRET)) throw new Error("wrong SHA-1 signature");
  for (const { value } of event.eventNotification.entry.flatMap(entry => entry.changes)) {
    for (const { id, status } of value.statuses ?? []) tell({ name: "status", id, status });
    for (const { id, text, from } of value.messages ?? []) tell({ name: "message", id, text: text?.body, from });
  }
  return "";
}, { send: sendAll, refuse });
