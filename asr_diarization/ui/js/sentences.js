/** Actions on one sentence: play it, correct it, change its speaker. */

import { announce, isComposing, make } from "./dom.js";
import { speakersOf } from "./speakers.js";
import { addSpeaker, move, nameOf, say } from "./transcript.js";

const NEW_SPEAKER = "new speaker";

export class Sentences {
  #container;
  #conversation;
  #store;
  #onPlay;
  #onRename;
  #active = null;
  #editor = null;
  #edit = make("button", { type: "button", title: "Edit (E)", click: () => this.edit() }, "Edit");
  #speaker = make("select", {
    "aria-label": "Speaker of this sentence",
    title: "Who said it (S)",
    change: () => this.#move(),
    keydown: (event) => this.#openChoice(event),
  });
  #tools = make("div.row-tools", {}, this.#speaker, this.#edit);

  /**
   * @param {HTMLElement} container of the conversation
   * @param {import("./conversation.js").Conversation} conversation
   * @param {import("./store.js").Store} store
   * @param {{onPlay: (id: number, index: number) => void, onRename: (speaker: string) => void}} actions
   */
  constructor(container, conversation, store, { onPlay, onRename }) {
    this.#container = container;
    this.#conversation = conversation;
    this.#store = store;
    this.#onPlay = onPlay;
    this.#onRename = onRename;
    container.addEventListener("click", (event) => this.#clicked(event));
    container.addEventListener("dblclick", (event) => {
      if (event.target.closest(".text")) this.edit();
    });
    container.addEventListener("focusin", (event) => this.#touched(event));
  }

  /** Call this after every change of the transcript. */
  refresh() {
    const segments = this.#store.transcript?.segments ?? [];
    const isThere = segments.some(({ id }) => id === this.#active);
    this.activate(isThere ? this.#active : (segments[0]?.id ?? null));
  }

  /** Make a sentence the target of keys and tools. @param {number | null} id */
  activate(id) {
    if (this.#editor) return;
    const row = this.#conversation.row(id);
    if (this.#active !== id) this.#timeOf(this.#active)?.setAttribute("tabindex", "-1");
    this.#active = id;
    this.#timeOf(id)?.setAttribute("tabindex", "0");
    if (!row) {
      this.#tools.remove();
      return;
    }
    const { transcript } = this.#store;
    const segment = transcript.segments.find((other) => other.id === id);
    const choices = speakersOf(transcript).map((s) => make("option", { value: s.id }, s.name));
    if (segment.speaker === null) choices.unshift(make("option", { value: "" }, "Nobody known"));
    this.#speaker.replaceChildren(
      ...choices,
      make("option", { value: NEW_SPEAKER }, "Somebody new"),
    );
    this.#speaker.value = segment.speaker ?? "";
    if (this.#tools.parentElement !== row) row.append(this.#tools);
  }

  /** Focus another sentence. @param {number} by how far after the active one; may be negative */
  step(by) {
    const { segments } = this.#store.transcript;
    const at = segments.findIndex(({ id }) => id === this.#active);
    const next = segments[Math.min(segments.length - 1, Math.max(0, at + by))];
    if (next) this.focus(next.id);
  }

  /** @param {number} id */
  focus(id) {
    this.activate(id);
    const row = this.#conversation.row(id);
    row?.scrollIntoView({ block: "nearest" });
    this.#timeOf(id)?.focus({ preventScroll: true });
  }

  /** Put the focus on the choice of a speaker. */
  chooseSpeaker() {
    this.#speaker.focus();
  }

  /** Keys that would change the closed list open it: the speaker changes when one is chosen. */
  #openChoice(event) {
    const isShortcut = event.ctrlKey || event.metaKey || event.altKey;
    if (isShortcut || !/^(Arrow.*|Page.*|Home|End|\S)$/u.test(event.key)) return;
    if (!this.#speaker.showPicker) return;
    this.#speaker.showPicker();
    event.preventDefault();
  }

  /** Whether typed text is not in the transcript yet. */
  get isTyping() {
    return this.#editor !== null && this.#editor.field.value !== this.#editor.before;
  }

  /** Let the active sentence be corrected. */
  edit() {
    const row = this.#conversation.row(this.#active);
    if (!row || this.#editor) return;
    const id = this.#active;
    const { text } = this.#store.transcript.segments.find((segment) => segment.id === id);
    const field = make("textarea", {
      "aria-label": "Text of this sentence",
      rows: "1",
      dir: "auto",
      keydown: (event) => this.#typed(event),
      blur: () => this.#finish(true),
    });
    field.value = text;
    this.#editor = { id, field, before: text, text: row.querySelector(".text") };
    this.#editor.text.replaceWith(field);
    row.classList.add("editing");
    field.focus();
    getSelection()?.removeAllRanges();
  }

  #typed(event) {
    event.stopPropagation();
    if (isComposing(event) || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    const { id } = this.#editor;
    this.#finish(event.key === "Enter");
    this.focus(this.#store.transcript.segments.some((s) => s.id === id) ? id : this.#active);
  }

  #finish(keeps) {
    if (!this.#editor) return;
    const { id, field, text } = this.#editor;
    this.#editor = null;
    field.closest(".row")?.classList.remove("editing");
    field.replaceWith(text);
    if (!keeps) return;
    const before = this.#store.transcript;
    this.#store.edit(say(before, id, field.value));
    if (this.#store.transcript !== before) announce("Sentence changed");
  }

  #move() {
    const id = this.#active;
    const chosen = this.#speaker.value;
    const { transcript } = this.#store;
    const [wider, speaker] = chosen === NEW_SPEAKER ? addSpeaker(transcript) : [transcript, chosen];
    this.#store.edit(move(wider, id, speaker));
    announce(`Said by ${nameOf(this.#store.transcript, speaker)}`);
    if (chosen === NEW_SPEAKER) this.#onRename(speaker);
    else this.focus(id);
  }

  #clicked(event) {
    const row = event.target.closest(".row");
    const who = event.target.closest(".who");
    if (who) this.#onRename(who.closest(".block").dataset.speaker);
    if (!row?.dataset.id) return;
    const id = Number(row.dataset.id);
    const word = event.target.closest(".word");
    if (word) this.#onPlay(id, [...row.querySelectorAll(".word")].indexOf(word));
    else if (event.target.closest(".time")) this.#onPlay(id, 0);
    this.activate(id);
  }

  #touched(event) {
    const id = event.target.closest(".row")?.dataset.id;
    if (id !== undefined && Number(id) !== this.#active) this.activate(Number(id));
  }

  #timeOf(id) {
    return this.#conversation.row(id)?.querySelector(".time");
  }
}
