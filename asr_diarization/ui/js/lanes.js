/** One lane per speaker under the waveform: when they talk, and how long in all. */

import { byId, isComposing, lasting, make } from "./dom.js";
import { overlaps, paint, speakersOf } from "./speakers.js";

const HEIGHT = 14;

export class Lanes {
  #list = byId("lanes");
  #player;
  #onRename;
  #transcript = null;
  /** @type {Map<string, HTMLElement>} */
  #lanes = new Map();
  #overlaps = [];

  /**
   * @param {import("./player.js").Player} player
   * @param {(speaker: string, name: string) => void} onRename
   */
  constructor(player, onRename) {
    this.#player = player;
    this.#onRename = onRename;
    player.addEventListener("view", () => this.draw());
    player.addEventListener("time", () => this.#showTime());
    this.#list.addEventListener("click", (event) => this.#seek(event));
    new ResizeObserver(() => this.draw()).observe(this.#list);
  }

  /** @param {import("./transcript.js").Transcript} transcript */
  show(transcript) {
    this.#transcript = transcript;
    this.#overlaps = overlaps(transcript.turns);
    const speakers = speakersOf(transcript);
    byId("speakers-section").hidden = !speakers.length;
    byId("overlap-legend").hidden = !this.#overlaps.length;
    const ids = new Set(speakers.map((speaker) => speaker.id));
    for (const id of this.#lanes.keys()) if (!ids.has(id)) this.#lanes.delete(id);
    for (const speaker of speakers) {
      if (!this.#lanes.has(speaker.id)) this.#lanes.set(speaker.id, this.#make(speaker));
      const lane = this.#lanes.get(speaker.id);
      fill(lane, speaker);
      paint(lane, transcript, speaker.id);
    }
    const lanes = speakers.map((speaker) => this.#lanes.get(speaker.id));
    const shown = [...this.#list.children];
    // Moved only when it must be: an element that is moved loses the focus.
    if (lanes.length !== shown.length || lanes.some((lane, i) => lane !== shown[i])) {
      this.#list.replaceChildren(...lanes);
    }
    this.draw();
    this.#showTime();
  }

  /** Forget all speakers. */
  clear() {
    this.#lanes.clear();
    this.#transcript = null;
  }

  /** Start to edit a speaker's name. @param {string} speaker */
  rename(speaker) {
    const input = this.#lanes.get(speaker)?.querySelector("input");
    input?.focus();
    input?.select();
  }

  #make({ id }) {
    const input = make("input.name", {
      maxlength: "64",
      dir: "auto",
      spellcheck: "false",
      title: "Rename everywhere",
      change: () => this.#renamed(id, input),
      keydown: (event) => {
        if (isComposing(event) || !["Escape", "Enter"].includes(event.key)) return;
        if (event.key === "Escape") input.value = this.#transcript.names[id];
        input.blur();
      },
    });
    return make(
      "li",
      {},
      make("span.swatch", { "aria-hidden": "true" }),
      input,
      make("span.share"),
      make(
        "div.lane",
        { role: "img" },
        make("canvas", { "data-speaker": id, height: String(HEIGHT) }),
        make("div.here"),
      ),
    );
  }

  #renamed(id, input) {
    input.value = input.value.trim().replace(/\s+/g, " ") || this.#transcript.names[id];
    this.#onRename(id, input.value);
  }

  /** Draw the part of the recording that the waveform shows. */
  draw() {
    if (!this.#transcript || !this.#player.duration) return;
    const { start, end } = this.#player.view;
    for (const canvas of this.#list.querySelectorAll("canvas")) {
      const width = canvas.clientWidth;
      if (!width) continue;
      const scale = devicePixelRatio;
      canvas.width = width * scale;
      canvas.height = HEIGHT * scale;
      const context = canvas.getContext("2d");
      context.scale(scale, scale);
      const x = (seconds) => ((seconds - start) / (end - start)) * width;
      context.fillStyle = getComputedStyle(canvas).getPropertyValue("--speaker");
      const own = this.#transcript.turns.filter(
        (turn) => turn.speaker === canvas.dataset.speaker && turn.end > start && turn.start < end,
      );
      for (const turn of own) {
        context.fillRect(x(turn.start), 0, Math.max(1, x(turn.end) - x(turn.start)), HEIGHT);
      }
      if (canvas.closest(".hollow")) context.clearRect(0, HEIGHT / 3, width, HEIGHT / 3);
      this.#drawStripes(context, own, x, getComputedStyle(canvas).getPropertyValue("--stripe"));
    }
  }

  #drawStripes(context, turns, x, colour) {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    for (const turn of turns) {
      for (const both of this.#overlaps) {
        const from = x(Math.max(turn.start, both.start));
        const to = x(Math.min(turn.end, both.end));
        if (to - from < 1) continue;
        context.save();
        context.beginPath();
        context.rect(from, 0, to - from, HEIGHT);
        context.clip();
        context.beginPath();
        for (let at = from - HEIGHT; at < to; at += 5) {
          context.moveTo(at, HEIGHT);
          context.lineTo(at + HEIGHT, 0);
        }
        context.stroke();
        context.restore();
      }
    }
  }

  #showTime() {
    if (!this.#player.duration) return;
    const { start, end } = this.#player.view;
    const share = (this.#player.time - start) / (end - start);
    this.#list.style.setProperty("--here", `${100 * share}%`);
    this.#list.classList.toggle("elsewhere", share < 0 || share > 1);
  }

  #seek(event) {
    const lane = event.target.closest(".lane");
    if (!lane) return;
    const { left, width } = lane.getBoundingClientRect();
    const { start, end } = this.#player.view;
    this.#player.seek(start + ((event.clientX - left) / width) * (end - start));
  }
}

function fill(lane, { name, share, seconds }) {
  const input = lane.querySelector("input");
  input.value = name;
  input.setAttribute("aria-label", `Name of ${name}`);
  lane.querySelector(".share").textContent = `${Math.round(100 * share)} % · ${lasting(seconds)}`;
  lane.querySelector(".lane").setAttribute("aria-label", `${name} talks ${lasting(seconds)}`);
}
