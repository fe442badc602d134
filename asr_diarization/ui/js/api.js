/** The server's API as this page uses it. Addresses are relative, so that any prefix works. */

import { EventReader } from "./events.js";
import { Failure, RENDER_SENTENCES, failureOf, unreachable } from "./failures.js";

const ROOT = new URL("../../", import.meta.url);

/**
 * What the server offers.
 * @returns {Promise<{api_key: boolean, assistant: boolean, diarization: boolean}>}
 * @throws {Failure}
 */
export async function loadSettings() {
  const answer = await ask("ui/settings.json");
  return answer.json();
}

/**
 * Check a key before a long upload.
 * @param {string} key
 * @throws {Failure}
 */
export async function checkKey(key) {
  await ask("v1/models", { headers: authorization(key) });
}

/**
 * A transcript as a file.
 * @param {object} transcript as the answer of `/predict` has it
 * @param {string} format
 * @param {string} name of the recording, without its suffix
 * @param {string} key
 * @returns {Promise<{file: Blob, fileName: string}>}
 * @throws {Failure}
 */
export async function render(transcript, format, name, key) {
  const headers = { "Content-Type": "application/json", ...authorization(key) };
  const body = JSON.stringify({ transcript, format, name });
  const answer = await ask("render", { method: "POST", headers, body }, RENDER_SENTENCES);
  const [, fileName] = answer.headers.get("Content-Disposition").match(/filename\*=UTF-8''(\S+)/);
  return { file: await answer.blob(), fileName: decodeURIComponent(fileName) };
}

async function ask(path, options, sentences) {
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), options);
  } catch {
    throw unreachable();
  }
  if (!answer.ok) throw failureOf(answer.status, await answer.text(), answer.headers, sentences);
  return answer;
}

/**
 * Send a recording; its progress comes as events.
 * @param {Blob} recording
 * @param {Record<string, string>} parameters of the request; empty ones are left out
 * @param {{key: string, signal: AbortSignal, onUpload: (share: number) => void,
 *   onEvent: (name: string, data: any) => void}} options aborting the signal stops the server's work
 * @returns {Promise<any>} the answer
 * @throws {Failure} also when it was cancelled
 */
export function transcribe(recording, parameters, { key, signal, onUpload, onEvent }) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "");
  const url = new URL("predict", ROOT);
  url.search = new URLSearchParams(given);
  // fetch does not report the progress of an upload, XMLHttpRequest does.
  const request = new XMLHttpRequest();
  request.open("POST", url);
  request.setRequestHeader("Accept", "text/event-stream");
  // Not a generic type: behind those the server would look for JSON as well.
  request.setRequestHeader("Content-Type", "application/x-recording");
  for (const [name, value] of Object.entries(authorization(key))) {
    request.setRequestHeader(name, value);
  }
  return new Promise((resolve, reject) => {
    let last = null;
    const events = new EventReader((name, data) => {
      if (name === "transcript" || name === "error") last = { name, data };
      else onEvent(name, JSON.parse(data));
    });
    request.upload.addEventListener("progress", (event) => onUpload(event.loaded / event.total));
    request.upload.addEventListener("load", () => onUpload(1));
    request.addEventListener("progress", () => {
      if (request.status === 200) events.read(request.responseText);
    });
    request.addEventListener("load", () => {
      if (request.status !== 200) reject(failureOfRequest(request));
      else settle(events, request, () => last, resolve, reject);
    });
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(new Failure("cancelled", "Cancelled.")));
    signal.addEventListener("abort", () => request.abort());
    request.send(recording);
  });
}

function settle(events, request, lastOf, resolve, reject) {
  events.read(request.responseText);
  const last = lastOf();
  if (last?.name === "transcript") resolve(JSON.parse(last.data));
  else if (last) reject(failureOf(JSON.parse(last.data).status, last.data, headersOf(request)));
  else reject(unreachable());
}

function failureOfRequest(request) {
  return failureOf(request.status, request.responseText, headersOf(request));
}

function headersOf(request) {
  return { get: (name) => request.getResponseHeader(name) };
}

function authorization(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}
