/** The view in which a transcript is played, read and corrected. */

import { Conversation, UNSURE_WORD } from "./conversation.js";
import { announce, byId, clock, lasting, make, setText } from "./dom.js";
import { listenToKeys } from "./keyboard.js";
import { Lanes } from "./lanes.js";
import { languageName } from "./languages.js";
import { Player } from "./player.js";
import { unsureWords, wordFinder } from "./position.js";
import { Search } from "./search.js";
import { Sentences } from "./sentences.js";
import { rename } from "./transcript.js";

const SEEK_SECONDS = 5;
/** After the user has scrolled, the page does not scroll by itself for this time. */
const NO_SCROLL_MILLISECONDS = 4000;

export class Reader {
  #store;
  #player = new Player(byId("waveform"));
  #conversation = new Conversation(byId("conversation"));
  #lanes;
  #sentences;
  #search;
  #findWord = () => null;
  #unsure = [];
  #scrolledAt = 0;

  /** @param {import("./store.js").Store} store */
  constructor(store) {
    this.#store = store;
    this.#lanes = new Lanes(this.#player, (speaker, name) =>
      store.edit(rename(store.transcript, speaker, name)),
    );
    this.#sentences = new Sentences(byId("conversation"), this.#conversation, store, {
      onPlay: (id, index) => this.#playFrom(id, index),
      onRename: (speaker) => this.#lanes.rename(speaker),
    });
    this.#search = new Search(this.#conversation, {
      onHit: (id) => {
        this.#sentences.activate(id);
        this.#conversation.row(id)?.scrollIntoView({ block: "center" });
      },
      onLeave: (id) => this.#sentences.focus(id),
    });
    store.addEventListener("change", () => this.#show());
    this.#player.addEventListener("time", () => this.#showTime());
    this.#player.addEventListener("state", () => this.#showState());
    this.#listen();
  }

  #listen() {
    const { undo, redo } = { undo: () => this.#store.undo(), redo: () => this.#store.redo() };
    const press = {
      play: () => this.#player.toggle(),
      "zoom-in": () => this.#player.zoom(2),
      "zoom-out": () => this.#player.zoom(0.5),
      "next-unsure": () => this.#showUnsure(),
      undo,
      redo,
    };
    for (const [id, action] of Object.entries(press)) byId(id).addEventListener("click", action);
    byId("rate").addEventListener("change", ({ target }) => this.#player.setRate(target.value));
    for (const name of ["wheel", "touchmove"]) {
      document.addEventListener(name, () => (this.#scrolledAt = performance.now()), { passive: true });
    }
    listenToKeys(
      {
        Space: () => this.#player.toggle(),
        ArrowLeft: () => this.#player.seek(this.#player.time - SEEK_SECONDS),
        ArrowRight: () => this.#player.seek(this.#player.time + SEEK_SECONDS),
        ArrowUp: () => this.#sentences.step(-1),
        ArrowDown: () => this.#sentences.step(1),
        e: () => this.#sentences.edit(),
        s: () => this.#sentences.chooseSpeaker(),
        n: () => this.#showUnsure(),
        "/": () => byId("query").focus(),
        undo,
        redo,
      },
      () => this.#store.transcript !== null,
    );
  }

  /** Load a recording, which can be played while it is transcribed. @param {Blob} recording */
  open(recording) {
    this.close();
    this.#player.load(recording).then(() => this.#showWhetherItPlays());
  }

  /** Draw the waveform. @param {{duration: number, peaks: number[][]}} waveform */
  draw(waveform) {
    this.#player.showPeaks(waveform);
  }

  /** Whether typed text is not in the transcript yet. */
  get isTyping() {
    return this.#sentences.isTyping;
  }

  /** Show a sentence that was just transcribed. */
  preview(segment) {
    this.#conversation.preview(segment);
  }

  /** Show the transcript that the store has now. */
  async begin() {
    const { duration, language, names } = this.#store.transcript;
    const people = Object.keys(names).length;
    const facts = [
      lasting(duration),
      language && languageName(language),
      people && `${people} ${people === 1 ? "speaker" : "speakers"}`,
    ];
    byId("about").textContent += ` · ${facts.filter(Boolean).join(" · ")}`;
    await this.#player.setDuration(duration);
    this.#showTime();
  }

  /** Say that nobody speaks, in place of a transcript. */
  showSilence() {
    const silence = "Nobody says anything.";
    byId("conversation").append(make("p.silence", {}, silence));
    announce(silence);
  }

  /** Forget the recording and its transcript. */
  close() {
    this.#player.close();
    this.#conversation.clear();
    this.#lanes.clear();
    this.#search.clear();
    for (const id of ["speakers-section", "downloads-section", "no-sound"]) byId(id).hidden = true;
  }

  #showWhetherItPlays() {
    byId("no-sound").hidden = this.#player.hasSound;
    byId("no-sound").textContent =
      "This browser cannot play this format. The transcript is the same as ever.";
    byId("play").disabled = !this.#player.hasSound;
    this.#showTime();
  }

  async #show() {
    const { transcript, canUndo, canRedo, hasUnsavedEdits } = this.#store;
    if (!transcript) return;
    const isFocused = byId("conversation").contains(document.activeElement);
    byId("undo").disabled = !canUndo;
    byId("redo").disabled = !canRedo;
    byId("unsaved").hidden = !hasUnsavedEdits;
    this.#findWord = wordFinder(transcript);
    this.#unsure = unsureWords(transcript, UNSURE_WORD);
    byId("next-unsure").hidden = !this.#unsure.length;
    byId("next-unsure").textContent = `Next unsure word · ${this.#unsure.length}`;
    this.#lanes.show(transcript);
    const refresh = () => {
      this.#sentences.refresh();
      this.#search.show(transcript);
      // A new row has no focus, and the keys work only where it is.
      if (isFocused && document.activeElement === document.body) this.#sentences.step(0);
    };
    const shown = this.#conversation.show(transcript);
    refresh();
    this.#showTime();
    await shown;
    refresh();
  }

  #showTime() {
    const { time, duration } = this.#player;
    setText(byId("time"), `${clock(time)} / ${clock(duration)}`);
    if (!this.#store.transcript) return;
    const heard = this.#findWord(time);
    const word = this.#conversation.mark(heard?.id ?? null, heard?.index ?? 0);
    const isFollowing = performance.now() - this.#scrolledAt > NO_SCROLL_MILLISECONDS;
    if (word && this.#player.isPlaying && isFollowing) keepVisible(word.closest(".row"));
  }

  #showState() {
    byId("play").setAttribute("aria-label", this.#player.isPlaying ? "Pause" : "Play");
    byId("play").classList.toggle("playing", this.#player.isPlaying);
  }

  #playFrom(id, index) {
    const segment = this.#store.transcript.segments.find((other) => other.id === id);
    this.#scrolledAt = 0;
    this.#player.seek((segment.words[index] ?? segment).start);
    this.#player.play();
  }

  /** Show the first unsure word after the position of the player. */
  #showUnsure() {
    const { time } = this.#player;
    const next = this.#unsure.find(({ start }) => start > time + 0.001) ?? this.#unsure[0];
    if (!next) return;
    this.#player.seek(next.start);
    this.#sentences.focus(next.id);
    keepVisible(this.#conversation.row(next.id));
  }
}

/** Scroll if the row is not fully visible. */
function keepVisible(row) {
  const { top, bottom } = row.getBoundingClientRect();
  const first = byId("tools").getBoundingClientRect().bottom;
  if (top < first || bottom > innerHeight - 40) {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    row.scrollIntoView({ block: "center", behavior: isCalm ? "auto" : "smooth" });
  }
}
