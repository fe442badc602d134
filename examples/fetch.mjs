// Who said what, with JavaScript's fetch: Node 18 or newer, and nothing to install.
//   ENDPOINT_URL=https://your-endpoint HF_TOKEN=hf_... node fetch.mjs call.wav
import { readFile } from "node:fs/promises";

const audio = await readFile(process.argv[2]);
const response = await fetch(process.env.ENDPOINT_URL, {
  method: "POST",
  headers: {
    Authorization: `Bearer ${process.env.HF_TOKEN ?? ""}`,
    // An endpoint compares both letter by letter; what axios accepts by itself is refused.
    "Content-Type": "application/json",
    Accept: "application/json",
    "X-Scale-Up-Timeout": "600",
  },
  body: JSON.stringify({ inputs: audio.toString("base64"), parameters: { num_speakers: 2 } }),
});
if (!response.ok) {
  // While an endpoint starts, the proxy before it answers, in HTML.
  const isJson = response.headers.get("Content-Type")?.includes("json");
  const reason = isJson ? (await response.json()).error : await response.text();
  console.error(`refused (${response.status}): ${reason}`);
  process.exit(1);
}
const answer = await response.json();
for (const { speaker, text, timestamp } of answer.speakers) {
  console.log(`${timestamp[0].toFixed(1)} ${speaker}: ${text.trim()}`);
}
