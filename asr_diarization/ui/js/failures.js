/** Failures: sentences for the user about requests that went wrong. */

import { make } from "./dom.js";

/** A failed request. `retrySeconds`: when to try again, 0 for never. */
export class Failure extends Error {
  /**
   * @param {"cancelled" | "key" | "busy" | "other"} kind
   * @param {string} message
   * @param {{detail?: string, retrySeconds?: number}} [more]
   */
  constructor(kind, message, { detail = "", retrySeconds = 0 } = {}) {
    super(message);
    Object.assign(this, { kind, detail, retrySeconds });
  }
}

const SENTENCES = {
  401: "The server does not accept this API key.",
  408: "The upload took too long. Check the connection and try again.",
  413: "This recording is too long or too large for this server.",
  415: "This file is not a recording that the server can read. Choose an audio or video file.",
  422: "The server cannot use one of the choices above.",
  429: "The server is busy with other recordings.",
  503: "The server has no room for this recording at the moment.",
};

/** About files to download, where these differ. */
export const RENDER_SENTENCES = {
  ...SENTENCES,
  413: "This transcript is too large for this server.",
  422: "The server cannot write this transcript.",
  429: "The server is busy. Try again in a moment.",
  503: "The server has no room for this transcript at the moment.",
};

const DEFAULT_RETRY_SECONDS = 10;

/** @returns {Failure} for a request that got no answer */
export function unreachable() {
  return new Failure(
    "other",
    "The server cannot be reached. Check that it is running and that you are online, then try again.",
  );
}

/**
 * @param {number} status
 * @param {string} body of the answer
 * @param {{get: (name: string) => string | null}} headers
 * @param {Record<number, string>} [sentences] by status
 * @returns {Failure}
 */
export function failureOf(status, body, headers, sentences = SENTENCES) {
  const message = sentences[status] ?? `The server failed (status ${status}). Its log says why.`;
  const id = headers.get("X-Request-ID");
  const isKnown = status in sentences;
  const detail = isKnown ? sentenceOf(body) : id ? `Request ${id}` : "";
  if (status === 401) return new Failure("key", message);
  if (status === 429 || status === 503) {
    const retrySeconds = Number(headers.get("Retry-After")) || DEFAULT_RETRY_SECONDS;
    return new Failure("busy", message, { detail, retrySeconds });
  }
  return new Failure("other", message, { detail });
}

/** The sentence in the server's answer, with a capital and a full stop. */
function sentenceOf(body) {
  try {
    const { error } = JSON.parse(body);
    const text = typeof error === "string" ? error : error.message;
    return `${text[0].toUpperCase()}${text.slice(1)}.`;
  } catch {
    return "";
  }
}

/**
 * @param {HTMLElement} box in which to say what went wrong
 * @param {Failure} failure
 */
export function showFailure(box, failure) {
  box.replaceChildren(make("p", {}, failure.message));
  if (failure.detail) box.append(make("p.small", {}, failure.detail));
  box.hidden = false;
}
