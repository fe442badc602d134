/** The transcript as a conversation: blocks of one speaker, a row per sentence, words to click. */

import { clock, make, pause } from "./dom.js";
import { paint } from "./speakers.js";
import { nameOf, utterances } from "./transcript.js";

export const UNSURE_WORD = 0.5;
export const UNSURE_SPEAKER = 0.6;
/** Long monologues are cut, so that the browser can skip blocks that are not visible. */
const ROWS_PER_BLOCK = 20;
const BUILD_MILLISECONDS = 12;

export class Conversation {
  #container;
  #blocks = new Map();
  #rows = new Map();
  #round = 0;
  #now = null;

  /** @param {HTMLElement} container */
  constructor(container) {
    this.#container = container;
  }

  /** Forget everything. */
  clear() {
    this.#round += 1;
    this.#container.replaceChildren();
    this.#blocks.clear();
    this.#rows.clear();
    this.#now = null;
  }

  /**
   * Show a sentence that was just transcribed; its speaker is not known yet.
   * @param {{start: number, text: string}} segment
   */
  preview(segment) {
    const row = make(
      "p.row",
      { "data-start": String(segment.start) },
      make("span.time", {}, clock(segment.start)),
      make("span.text", { dir: "auto" }, segment.text),
    );
    const later = [...this.#container.children].find(
      (other) => Number(other.dataset.start) > segment.start,
    );
    this.#container.insertBefore(row, later ?? null);
  }

  /**
   * Show a transcript; blocks that did not change stay as they are.
   * @param {import("./transcript.js").Transcript} transcript
   */
  async show(transcript) {
    this.#round += 1;
    const round = this.#round;
    const old = this.#blocks;
    this.#blocks = new Map();
    const wanted = blocksOf(transcript).map((block) => {
      const known = old.get(block.segments[0].id);
      return known && isSame(known, block) ? known : block;
    });
    const kept = new Set(wanted.map((block) => block.element).filter(Boolean));
    for (const element of [...this.#container.children]) if (!kept.has(element)) element.remove();
    let began = performance.now();
    let place = this.#container.firstElementChild;
    for (const block of wanted) {
      if (block.element === place && place) place = place.nextElementSibling;
      else this.#container.insertBefore(this.#build(block), place);
      this.#blocks.set(block.segments[0].id, block);
      setSpeaker(block, transcript);
      if (performance.now() - began < BUILD_MILLISECONDS) continue;
      await pause();
      if (round !== this.#round) return;
      began = performance.now();
    }
    this.#forgetRows(transcript);
  }

  #build(block) {
    const head = make("h3", {}, make("span.swatch", { "aria-hidden": "true" }));
    if (block.speaker === null) head.append(make("span.nobody", {}, "Nobody known"));
    else head.append(make("button.who", { type: "button", dir: "auto", title: "Rename everywhere" }));
    const list = make("ol.rows", {}, ...block.segments.map((segment) => this.#row(segment)));
    block.element = make("section.block", {}, ...(block.isFirst ? [head] : []), list);
    block.element.dataset.speaker = block.speaker ?? "";
    const characters = block.segments.reduce((sum, s) => sum + s.text.length, 0);
    const height = 40 + 28 * block.segments.length + characters / 3;
    block.element.style.containIntrinsicSize = `auto ${Math.round(height)}px`;
    return block.element;
  }

  #row(segment) {
    const time = make(
      "button.time",
      { type: "button", tabindex: "-1", "aria-label": `Play from ${clock(segment.start)}` },
      clock(segment.start),
    );
    const row = make("li.row", { "data-id": String(segment.id) }, time, textOf(segment));
    const marks = marksOf(segment);
    if (marks.length) row.append(make("span.marks", {}, ...marks));
    this.#rows.set(segment.id, row);
    return row;
  }

  #forgetRows(transcript) {
    const ids = new Set(transcript.segments.map((segment) => segment.id));
    for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id);
  }

  /** @param {number} id of a segment @returns {HTMLElement | undefined} */
  row(id) {
    return this.#rows.get(id);
  }

  /**
   * Mark the word that is being played.
   * @param {number | null} id of its segment
   * @param {number} index of the word in it
   * @returns {HTMLElement | null} the word, when it is another one than before
   */
  mark(id, index) {
    const row = id === null ? undefined : this.#rows.get(id);
    const word = row?.querySelectorAll(".word")[index] ?? null;
    if (word === this.#now) return null;
    this.#now?.classList.remove("now");
    this.#now?.closest(".row")?.classList.remove("playing");
    word?.classList.add("now");
    row?.classList.add("playing");
    this.#now = word;
    return word;
  }
}

function blocksOf(transcript) {
  return utterances(transcript).flatMap((run) => {
    const blocks = [];
    for (let i = 0; i < run.length; i += ROWS_PER_BLOCK) {
      const segments = run.slice(i, i + ROWS_PER_BLOCK);
      blocks.push({ segments, speaker: run[0].speaker, isFirst: i === 0, element: null });
    }
    return blocks;
  });
}

function isSame(a, b) {
  return (
    a.isFirst === b.isFirst &&
    a.segments.length === b.segments.length &&
    a.segments.every((segment, i) => segment === b.segments[i])
  );
}

function setSpeaker({ element, speaker }, transcript) {
  const who = element.querySelector(".who");
  if (speaker === null) return;
  const name = nameOf(transcript, speaker);
  if (who && who.textContent !== name) who.textContent = name;
  paint(element, transcript, speaker);
}

/** The text of a row; without word times, all of it is one word. */
function textOf(segment) {
  const text = make("p.text", { dir: "auto" });
  const whole = { text: segment.text, probability: null };
  for (const word of segment.words.length ? segment.words : [whole]) {
    const bare = word.text.trimStart();
    const space = word.text.slice(0, word.text.length - bare.length);
    const span = make("span.word", {}, bare);
    if (word.probability !== null && word.probability < UNSURE_WORD) {
      span.classList.add("unsure");
      span.title = `${Math.round(100 * word.probability)} % sure`;
    }
    text.append(space, span);
  }
  return text;
}

function marksOf(segment) {
  const marks = [];
  if (segment.confidence !== null && segment.confidence < UNSURE_SPEAKER) {
    const sure = Math.round(100 * segment.confidence);
    marks.push(make("span.mark.who-unsure", { title: `Speaker ${sure} % sure` }, "speaker unsure"));
  }
  if (segment.overlap) {
    const title = "Somebody else talks at the same time";
    marks.push(make("span.mark", { title }, "overlap"));
  }
  return marks;
}
