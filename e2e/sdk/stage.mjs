// What the scripts of both SDKs share: the stage that the test has set in the environment,
// and how they tell it what happens, one JSON object a line.
import { createServer } from "node:http";
import { createInterface } from "node:readline";

export const { BASE_URL, TOKEN, NUMBER, APP_SECRET, VERIFY_TOKEN, EXAMPLES } = process.env;

export function tell(what) { console.log(JSON.stringify(what)); }

// attempt does something, and tells its result or the error that the SDK makes of a refusal.
export async function attempt(name, does, explain) {
  try {
    tell({ name, ...await does() });
  } catch (error) {
    tell({ name, error: await explain(error) ?? { message: String(error) } });
  }
}

// stage listens for webhooks, tells where, and does what each line that the test writes
// names, if anything, until it writes no more.
export async function stage(handshake, event, acts) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://localhost");
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    try {
      response.end(await (request.method === "GET" ? handshake : event)({ method: request.method, query: Object.fromEntries(url.searchParams), headers: request.headers, body }));
    } catch (error) {
      tell({ name: "webhook", error: { message: String(error) } });
      response.writeHead(403).end();
    }
  });
  await new Promise(listening => server.listen(0, "127.0.0.1", listening));
  tell({ name: "listening", url: `http://127.0.0.1:${server.address().port}/` });
  for await (const line of createInterface({ input: process.stdin })) {
    await acts[line]?.();
    tell({ name: "done" });
  }
  server.close();
  server.closeAllConnections();
}
