/** The player and its waveform; it knows no speakers or words. */

import WaveSurfer from "../vendor/wavesurfer/wavesurfer.esm.js";
import { louder } from "./waveform.js";

const NOTHING = new Float32Array(1);
const MAX_PIXELS_PER_SECOND = 200;
export const WAVEFORM_HEIGHT = 72;

/**
 * Dispatches `time` while the position changes, `state` when playing begins or ends, and `view`
 * when another part of the waveform is visible.
 */
export class Player extends EventTarget {
  #audio = new Audio();
  #waves;
  #url = "";
  #canPlay = Promise.resolve(false);
  #peaks = NOTHING;
  #pixelsPerSecond = 0;
  duration = 0;
  /** Whether the browser can play the recording. */
  hasSound = false;

  /** @param {HTMLElement} container of the waveform */
  constructor(container) {
    super();
    this.#audio.preload = "metadata";
    this.#waves = WaveSurfer.create({
      container,
      media: this.#audio,
      height: WAVEFORM_HEIGHT,
      barWidth: 2,
      barGap: 1,
      barRadius: 1,
      cursorWidth: 2,
      normalize: true,
      dragToSeek: true,
      ...coloursOf(container),
    });
    for (const name of ["scroll", "zoom", "redraw", "resize"]) {
      this.#waves.on(name, () => this.#notify("view"));
    }
    for (const name of ["play", "pause", "ended"]) {
      this.#audio.addEventListener(name, () => this.#notify("state"));
    }
    for (const name of ["seeking", "timeupdate"]) {
      this.#audio.addEventListener(name, () => this.#notify("time"));
    }
    this.#audio.addEventListener("play", () => this.#tick());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#waves.setOptions(coloursOf(container));
      this.#notify("view");
    });
  }

  /**
   * Load a recording; it can be played at once, its waveform is drawn when the server has sent it.
   * @param {Blob} recording
   */
  async load(recording) {
    this.close();
    const url = URL.createObjectURL(recording);
    this.#url = url;
    this.#audio.src = url;
    this.#canPlay = hasMetadata(this.#audio);
    this.hasSound = await this.#canPlay;
    if (this.#url !== url || !this.hasSound) return;
    this.duration = this.#audio.duration;
    await this.#draw();
  }

  /**
   * Draw the waveform.
   * @param {{duration: number, peaks: number[][]}} waveform as the server sends it
   */
  async showPeaks({ duration, peaks }) {
    const url = this.#url;
    await this.#canPlay;
    if (this.#url !== url) return;
    this.#peaks = louder(peaks);
    this.duration ||= duration;
    await this.#draw();
  }

  /**
   * Set the duration that the server found; without sound, the waveform is empty.
   * @param {number} seconds
   */
  async setDuration(seconds) {
    await this.#canPlay;
    this.duration = seconds;
    if (!this.hasSound) await this.#draw();
    this.#notify("view");
  }

  /** A waveform that fails to load, or is replaced while it loads, is no error. */
  async #draw() {
    const url = this.hasSound ? this.#url : "";
    await this.#waves.load(url, [this.#peaks], this.duration).catch(() => {});
  }

  /** Forget the recording. */
  close() {
    if (!this.#url) return;
    this.#audio.pause();
    this.#waves.empty();
    URL.revokeObjectURL(this.#url);
    [this.#url, this.hasSound, this.duration, this.#pixelsPerSecond] = ["", false, 0, 0];
    this.#peaks = NOTHING;
  }

  get time() {
    return this.#audio.currentTime;
  }

  get isPlaying() {
    return !this.#audio.paused;
  }

  toggle() {
    if (this.isPlaying) this.#audio.pause();
    else this.play();
  }

  play() {
    if (this.hasSound) this.#audio.play().catch(() => {});
  }

  /** @param {number} seconds */
  seek(seconds) {
    this.#audio.currentTime = Math.min(Math.max(0, seconds), this.duration);
  }

  /** @param {number} rate of playing, 1 as recorded */
  setRate(rate) {
    this.#audio.playbackRate = rate;
  }

  /** @param {number} factor above 1 shows more detail */
  zoom(factor) {
    const fit = this.#waves.getWidth() / this.duration;
    const wanted = Math.max(this.#pixelsPerSecond, fit) * factor;
    this.#pixelsPerSecond = wanted <= fit ? 0 : Math.min(MAX_PIXELS_PER_SECOND, wanted);
    this.#waves.zoom(this.#pixelsPerSecond);
    this.#notify("view");
  }

  /** Start and end of the visible part, in seconds. */
  get view() {
    const width = this.#waves.getWidth();
    const pixelsPerSecond = Math.max(this.#pixelsPerSecond, width / this.duration);
    const start = this.#waves.getScroll() / pixelsPerSecond;
    return { start, end: start + width / pixelsPerSecond };
  }

  #tick() {
    this.#notify("time");
    if (this.isPlaying) requestAnimationFrame(() => this.#tick());
  }

  #notify(name) {
    this.dispatchEvent(new Event(name));
  }
}

/** Whether the browser can play the file; its own recordings do not contain their duration. */
async function hasMetadata(audio) {
  const isKnown = await once(audio, "loadedmetadata", "error");
  if (!isKnown || audio.duration !== Infinity) return isKnown;
  audio.currentTime = Number.MAX_SAFE_INTEGER; // the browser finds the end, and with it the duration
  await once(audio, "durationchange", "error");
  audio.currentTime = 0;
  return true;
}

function once(target, good, bad) {
  return new Promise((resolve) => {
    target.addEventListener(good, () => resolve(true), { once: true });
    target.addEventListener(bad, () => resolve(false), { once: true });
  });
}

function coloursOf(element) {
  const style = getComputedStyle(element);
  const colour = (name) => style.getPropertyValue(name).trim();
  return {
    waveColor: colour("--wave"),
    progressColor: colour("--wave-played"),
    cursorColor: colour("--accent"),
  };
}
