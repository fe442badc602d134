/** Search in the transcript: every hit is marked, one after the other is shown. */

import { byId } from "./dom.js";

const MOST_MARKED = 1000;
/** Marks without a change to the document, where the browser can. */
const marks = globalThis.CSS?.highlights;

export class Search {
  #query = byId("query");
  #hits = [];
  #current = -1;
  #transcript = null;
  #conversation;
  #show;

  /**
   * @param {import("./conversation.js").Conversation} conversation
   * @param {(row: HTMLElement) => void} show called with the row of the current hit
   */
  constructor(conversation, show) {
    this.#conversation = conversation;
    this.#show = show;
    this.#query.addEventListener("input", () => this.#find());
    this.#query.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") this.clear();
    });
  }

  /** Search here from now on. @param {import("./transcript.js").Transcript} transcript */
  show(transcript) {
    this.#transcript = transcript;
    if (this.#query.value) this.#find();
  }

  clear() {
    this.#query.value = "";
    this.#find();
  }

  #find() {
    const wanted = this.#query.value.trim().toLowerCase();
    this.#hits = wanted ? hitsOf(this.#transcript, wanted) : [];
    this.#current = -1;
    this.#mark();
  }

  #step(by) {
    if (!this.#hits.length) return;
    const count = this.#hits.length;
    this.#current = this.#current < 0 && by < 0 ? count - 1 : (this.#current + by + count) % count;
    const row = this.#conversation.row(this.#hits[this.#current].id);
    if (row) this.#show(row);
    this.#mark();
  }

  #mark() {
    const { length } = this.#hits;
    const count = this.#current < 0 ? `${length} found` : `${this.#current + 1} of ${length}`;
    byId("hits").textContent = this.#query.value.trim() ? count : "";
    if (!marks) return;
    const ranges = this.#hits.slice(0, MOST_MARKED).map((hit) => this.#range(hit));
    marks.set("found", new Highlight(...ranges.filter(Boolean)));
    const current = this.#hits[this.#current] && this.#range(this.#hits[this.#current]);
    marks.set("found-now", new Highlight(...(current ? [current] : [])));
  }

  #range({ id, start, end }) {
    const text = this.#conversation.row(id)?.querySelector("p.text");
    if (!text) return null;
    const range = new Range();
    const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
    for (let at = 0, node = walker.nextNode(); node; at += node.length, node = walker.nextNode()) {
      if (start >= at && start < at + node.length) range.setStart(node, start - at);
      if (end > at && end <= at + node.length) range.setEnd(node, end - at);
    }
    return range;
  }
}

function hitsOf({ segments }, wanted) {
  return segments.flatMap(({ id, text }) => {
    const found = [];
    const lower = text.toLowerCase();
    for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + wanted.length)) {
      found.push({ id, start: at, end: at + wanted.length });
    }
    return found;
  });
}
