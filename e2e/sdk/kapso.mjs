// Sends each type that @kapso/whatsapp-cloud-api has a method for.
import { GraphApiError, WhatsAppClient } from "@kapso/whatsapp-cloud-api";
import { normalizeWebhook, verifySignature } from "@kapso/whatsapp-cloud-api/server";
import { APP_SECRET, BASE_URL, NUMBER, TOKEN, VERIFY_TOKEN, attempt, stage, tell } from "./stage.mjs";

const client = new WhatsAppClient({ baseUrl: BASE_URL, accessToken: TOKEN });
const link = "https://cdn.shop.test/a.jpg";
const message = { phoneNumberId: NUMBER, to: "+33612345678", bizOpaqueCallbackData: "kapso" };
const buttons = [{ id: "yes", title: "Oui" }, { id: "no", title: "Non" }];

const sends = {
  sendText: { body: "Bonjour é 🙂 https://shop.test/", previewUrl: true },
  sendImage: { image: { link, caption: "Une lampe" } },
  sendAudio: { audio: { link: "https://cdn.shop.test/a.ogg", voice: true } },
  sendDocument: { document: { link: "https://cdn.shop.test/a.pdf", filename: "facture.pdf", caption: "Facture" } },
  sendVideo: { video: { link: "https://cdn.shop.test/a.mp4", caption: "Montage" } },
  sendSticker: { sticker: { link: "https://cdn.shop.test/a.webp" } },
  sendLocation: { location: { latitude: 48.85, longitude: 2.35, name: "Boutique", address: "Paris" } },
  sendContacts: { contacts: [{ name: { formattedName: "Ada", firstName: "Ada" }, phones: [{ phone: "+33612345678", type: "WORK" }] }] },
  sendTemplate: { template: { name: "order_shipped", language: { code: "fr" }, components: [{ type: "body", parameters: [{ type: "text", text: "Ada" }] }] } },
  sendInteractiveButtons: { bodyText: "Demain ?", footerText: "Boutique", header: { type: "text", text: "Livraison" }, buttons },
  sendInteractiveList: { bodyText: "Quand ?", buttonText: "Choisir", sections: [{ title: "Jours", rows: [{ id: "mon", title: "Lundi", description: "matin" }] }] },
  sendInteractiveProduct: { bodyText: "Une lampe", catalogId: "194836987003835", productRetailerId: "lamp-1" },
  sendInteractiveProductList: { bodyText: "Lampes", header: { type: "text", text: "Lampes" }, catalogId: "194836987003835", sections: [{ title: "Bureau", productItems: [{ productRetailerId: "lamp-1" }] }] },
  sendInteractiveFlow: { bodyText: "Rendez-vous", parameters: { flowId: "1234567890", flowCta: "Choisir", flowToken: "t", flowAction: "navigate", flowActionPayload: { screen: "START" }, flowMessageVersion: "3" } },
  sendInteractiveAddress: { to: "+919876543210", bodyText: "Where to?", parameters: { country: "IN", values: { name: "Asha", in_pin_code: "400063" } } },
  sendInteractiveCtaUrl: { bodyText: "Suivi", parameters: { displayText: "Suivre", url: "https://shop.test/7" } },
  sendInteractiveCarousel: { bodyText: "Nouveautés", cards: [0, 1].map(cardIndex => ({ cardIndex, header: { type: "image", image: { link } }, bodyText: "Une lampe", action: { displayText: "Voir", url: "https://shop.test/7" } })) },
  "sendInteractiveRaw, a place": { interactive: { type: "location_request_message", body: { text: "Où êtes-vous ?" }, action: { name: "send_location" } } },
  "sendInteractiveRaw, a call": { interactive: { type: "call_permission_request", body: { text: "Pouvons-nous appeler ?" }, action: { name: "call_permission_request" } } },
  sendInteractiveCatalogMessage: { bodyText: "Tout voir", parameters: { thumbnailProductRetailerId: "lamp-1" } },
};

// Meta documents no parameters for these two, which the client always sends, and says that it
// refuses what it does not document. Above, both are sent as Meta documents them.
const unlikeMeta = {
  sendInteractiveLocationRequest: { bodyText: "Où êtes-vous ?", parameters: { requestMessage: "Envoyez votre position" } },
  sendInteractiveCallPermission: { bodyText: "Pouvons-nous appeler ?", parameters: { phoneNumber: "+33199000000" } },
};

const refusals = {
  "too long": { body: "x".repeat(4097) },
  "window": { body: "x", to: "+33199001047" },
  "limit": { body: "x", to: "+33199000429" },
  "number": { body: "x", phoneNumberId: "0" },
};

function explain(error) {
  if (!(error instanceof GraphApiError)) return;
  const { httpStatus, code, message, category, fbtraceId, errorData } = error;
  return { status: httpStatus, code, message, category, trace: fbtraceId, details: errorData?.details };
}

async function refuse() {
  for (const [name, wrong] of Object.entries(refusals)) await attempt(name, () => client.messages.sendText({ ...message, ...wrong }), explain);
  for (const [method, input] of Object.entries(unlikeMeta)) await attempt(method, () => client.messages[method]({ ...message, ...input }), explain);
  const stranger = new WhatsAppClient({ baseUrl: BASE_URL, accessToken: "expired" });
  await attempt("token", () => stranger.messages.sendText({ ...message, body: "x" }), explain);
}

async function send() {
  for (const [name, input] of Object.entries(sends)) {
    const [method] = name.split(",");
    await attempt(name, async () => ({ id: (await client.messages[method]({ ...message, ...input })).messages[0].id }), explain);
  }
  const file = new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])], { type: "image/png" });
  await attempt("upload", async () => {
    const { id } = await client.media.upload({ phoneNumberId: NUMBER, type: "image/png", file, fileName: "a.png" });
    const { mimeType } = await client.media.get({ mediaId: id });
    const size = (await client.media.download({ mediaId: id, auth: "always" })).byteLength;
    const sent = await client.messages.sendImage({ ...message, image: { id } });
    await client.media.delete({ mediaId: id });
    return { id: sent.messages[0].id, mimeType, size };
  }, explain);
}

await stage(({ query }) => {
  if (query["hub.verify_token"] !== VERIFY_TOKEN) throw new Error("wrong verify token");
  return query["hub.challenge"];
}, async ({ headers, body }) => {
  if (!verifySignature({ appSecret: APP_SECRET, rawBody: body, signatureHeader: headers["x-hub-signature-256"] })) throw new Error("wrong signature");
  const { messages, statuses } = normalizeWebhook(JSON.parse(body));
  for (const { id, status } of statuses) tell({ name: "status", id, status });
  for (const { id, text, from } of messages) {
    tell({ name: "message", id, text: text?.body, from });
    await attempt("sendReaction", async () => ({ id: (await client.messages.sendReaction({ ...message, reaction: { messageId: id, emoji: "👍" } })).messages[0].id }), explain);
    await attempt("markRead", () => client.messages.markRead({ phoneNumberId: NUMBER, messageId: id, typingIndicator: { type: "text" } }), explain);
  }
  return "";
}, { send, refuse });
