/** What went wrong, as a sentence for whoever sits in front of the page. */

/** `kind` is cancelled, key, busy, or other; `retrySeconds` says when to try again, if ever. */
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
 * @param {string} body what the server said
 * @param {{get: (name: string) => string | null}} [headers]
 * @returns {Failure}
 */
export function failureOf(status, body, headers = { get: () => null }) {
  const message = SENTENCES[status] ?? `The server failed (status ${status}). Its log says why.`;
  const id = headers.get("X-Request-ID");
  const isKnown = status in SENTENCES;
  const detail = isKnown ? saidBy(body) : id ? `Request ${id}` : "";
  if (status === 401) return new Failure("key", message);
  if (status === 429 || status === 503) {
    const retrySeconds = Number(headers.get("Retry-After")) || DEFAULT_RETRY_SECONDS;
    return new Failure("busy", message, { detail, retrySeconds });
  }
  return new Failure("other", message, { detail });
}

/** The sentence in the server's answer, as a sentence. */
function saidBy(body) {
  try {
    const { error } = JSON.parse(body);
    const said = typeof error === "string" ? error : error.message;
    return `${said[0].toUpperCase()}${said.slice(1)}.`;
  } catch {
    return "";
  }
}
