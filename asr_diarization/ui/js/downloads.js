/** The transcript as files, with the edits in them. */

import { byId, make } from "./dom.js";
import { FORMATS } from "./formats.js";

export class Downloads {
  /**
   * @param {import("./store.js").Store} store
   * @param {() => string} nameOf the recording, without its suffix
   */
  constructor(store, nameOf) {
    const buttons = Object.entries(FORMATS).map(([format, { label }]) =>
      make("button", { type: "button", "data-format": format, click: () => save(format) }, label),
    );
    byId("downloads").append(...buttons);

    function save(format) {
      const { suffix, type, write } = FORMATS[format];
      const text = write(store.transcript, nameOf());
      const url = URL.createObjectURL(new Blob([text], { type }));
      make("a", { href: url, download: `${nameOf()}.${suffix}` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      if (format !== "rttm") store.markSaved(); // it holds no words
    }
  }

  /** Offer turns only where there are some. @param {import("./transcript.js").Transcript} transcript */
  show(transcript) {
    byId("downloads-section").hidden = false;
    byId("downloads").querySelector("[data-format=rttm]").hidden = !transcript.turns.length;
    byId("warnings").replaceChildren(...transcript.warnings.map((said) => make("li", {}, said)));
  }
}
