/** Progress of the server, shown and announced. */

import { announce, byId } from "./dom.js";

const STAGES = { upload: "Upload", diarize: "Speakers", transcribe: "Words" };

export class ProgressView {
  #announced = "";

  /** Reset. @param {boolean} findsSpeakers whether there is such a stage */
  start(findsSpeakers) {
    this.#announced = "";
    for (const stage of Object.keys(STAGES)) {
      byId(stage).value = 0;
      byId(`${stage}-status`).textContent = "";
    }
    byId("diarize-stage").hidden = !findsSpeakers;
    byId("waiting").hidden = true;
  }

  /** @param {number} share of the upload that is done */
  uploaded(share) {
    this.#show("upload", share, percent(share));
  }

  /** @param {{stage: string, done: number, total: number}} progress as the server sends it */
  update({ stage, done, total }) {
    const waiting = byId("waiting");
    if (stage === "queue") {
      const many = total === 1 ? "One recording is" : `${total} recordings are`;
      waiting.hidden = done >= total;
      waiting.textContent = `${many} worked on before this one.`;
      this.#announce(waiting.textContent);
      return;
    }
    waiting.hidden = true;
    const share = done / Math.max(total, 1e-9);
    this.#show(stage, share, stage === "transcribe" ? `${done} of ${total}` : percent(share));
  }

  #show(stage, share, status) {
    if (!(stage in STAGES)) return;
    byId(stage).value = share;
    byId(`${stage}-status`).textContent = status;
    // A screen reader announces every quarter.
    this.#announce(`${STAGES[stage]}: ${25 * Math.floor(4 * share)} %`);
  }

  #announce(text) {
    if (text !== this.#announced) announce(text);
    this.#announced = text;
  }
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
