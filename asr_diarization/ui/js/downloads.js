/** Downloads: the transcript with its edits as files, which the server writes. */

import { toAnswer } from "./answer.js";
import { render } from "./api.js";
import { byId, make } from "./dom.js";
import { Failure, showFailure } from "./failures.js";

/** Formats of the server and what their buttons say. */
const LABELS = { text: "Text", srt: "SRT", vtt: "WebVTT", json: "JSON", rttm: "RTTM" };

export class Downloads {
  #store;
  #source;

  /**
   * @param {import("./store.js").Store} store
   * @param {() => {name: string, key: string}} source the recording's name without its suffix, and
   *   the API key
   */
  constructor(store, source) {
    this.#store = store;
    this.#source = source;
    const buttons = Object.entries(LABELS).map(([format, label]) => {
      const click = () => this.#save(format);
      return make("button", { type: "button", "data-format": format, click }, label);
    });
    byId("downloads").append(...buttons);
  }

  async #save(format) {
    const { transcript } = this.#store;
    const { name, key } = this.#source();
    const box = byId("download-failure");
    box.hidden = true;
    try {
      const { file, fileName } = await render(toAnswer(transcript), format, name, key);
      const url = URL.createObjectURL(file);
      make("a", { href: url, download: fileName }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      if (format !== "rttm") this.#store.markSaved(transcript); // it holds no words
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      showFailure(box, error);
    }
  }

  /** Offer turns only where there are some. @param {import("./transcript.js").Transcript} transcript */
  show(transcript) {
    byId("downloads-section").hidden = false;
    byId("download-failure").hidden = true;
    byId("downloads").querySelector("[data-format=rttm]").hidden = !transcript.turns.length;
    byId("warnings").replaceChildren(...transcript.warnings.map((text) => make("li", {}, text)));
  }
}
