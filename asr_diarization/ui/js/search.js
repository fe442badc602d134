/** Search in the transcript: all hits are marked; Enter goes from one to the next. */

import { byId, isComposing } from "./dom.js";
import { utterances } from "./transcript.js";

const MAX_MARKED = 1000;
/** The CSS highlight registry, where the browser has one. */
const marks = globalThis.CSS?.highlights;

export class Search {
  #query = byId("query");
  #hits = [];
  #current = -1;
  #transcript = null;
  #conversation;
  #onHit;
  #onLeave;

  /**
   * @param {import("./conversation.js").Conversation} conversation
   * @param {{onHit: (id: number) => void, onLeave: (id: number) => void}} actions on the segment
   *   in which the current hit begins
   */
  constructor(conversation, { onHit, onLeave }) {
    this.#conversation = conversation;
    this.#onHit = onHit;
    this.#onLeave = onLeave;
    this.#query.addEventListener("input", () => this.#find());
    this.#query.addEventListener("keydown", (event) => {
      if (isComposing(event)) return;
      if (event.key === "Enter") this.#step(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") this.#leave();
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
    const wanted = this.#query.value.trim();
    this.#hits = wanted ? hitsOf(this.#transcript, wanted) : [];
    this.#current = -1;
    this.#mark();
  }

  #step(by) {
    if (!this.#hits.length) return;
    const count = this.#hits.length;
    this.#current = this.#current < 0 && by < 0 ? count - 1 : (this.#current + by + count) % count;
    this.#onHit(this.#hits[this.#current][0].id);
    this.#mark();
  }

  #leave() {
    const hit = this.#hits[this.#current];
    this.clear();
    if (hit) this.#onLeave(hit[0].id);
  }

  #mark() {
    const { length } = this.#hits;
    const count = this.#current < 0 ? `${length} found` : `${this.#current + 1} of ${length}`;
    byId("hits").textContent = this.#query.value.trim() ? count : "";
    if (!marks) return;
    const mark = (name, hits) => {
      const ranges = hits.flat().map((part) => this.#range(part));
      marks.set(name, new Highlight(...ranges.filter(Boolean)));
    };
    mark("found", this.#hits.slice(0, MAX_MARKED));
    mark("found-now", this.#hits[this.#current] ?? []);
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

/** Each hit as its parts, one for each segment it reaches into; it stays within one utterance. */
function hitsOf(transcript, wanted) {
  const pattern = new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu");
  return utterances(transcript).flatMap((segments) => {
    const starts = [];
    let text = "";
    for (const segment of segments) {
      if (text) text += " ";
      starts.push(text.length);
      text += segment.text;
    }
    return Array.from(text.matchAll(pattern), ({ 0: match, index }) =>
      partsOf(segments, starts, index, index + match.length),
    );
  });
}

function partsOf(segments, starts, first, last) {
  return segments.flatMap(({ id, text }, i) => {
    const start = Math.max(0, first - starts[i]);
    const end = Math.min(text.length, last - starts[i]);
    return start < end ? [{ id, start, end }] : [];
  });
}
