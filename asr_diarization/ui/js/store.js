/** The transcript and its history: edits can be undone and redone. */

/** @typedef {import("./transcript.js").Transcript} Transcript */

export class Store extends EventTarget {
  #past = [];
  #future = [];
  #saved = null;
  /** @type {Transcript | null} */
  transcript = null;

  /** Start with a new transcript. @param {Transcript | null} transcript */
  open(transcript) {
    [this.#past, this.#future, this.#saved] = [[], [], transcript];
    this.#show(transcript);
  }

  /** Replace the transcript by an edited one; the same one is no edit. @param {Transcript} transcript */
  edit(transcript) {
    if (transcript === this.transcript) return;
    this.#past.push(this.transcript);
    this.#future = [];
    this.#show(transcript);
  }

  undo() {
    if (!this.canUndo) return;
    this.#future.push(this.transcript);
    this.#show(this.#past.pop());
  }

  redo() {
    if (!this.canRedo) return;
    this.#past.push(this.transcript);
    this.#show(this.#future.pop());
  }

  /** A transcript is in a file now. @param {Transcript} transcript */
  markSaved(transcript) {
    this.#saved = transcript;
    this.dispatchEvent(new Event("change"));
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  get hasUnsavedEdits() {
    return this.transcript !== this.#saved;
  }

  #show(transcript) {
    this.transcript = transcript;
    this.dispatchEvent(new Event("change"));
  }
}
