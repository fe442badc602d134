/** The first view: choose or record a recording, set parameters, start. */

import { announce, byId, clock, make, setText, size } from "./dom.js";
import { showFailure } from "./failures.js";
import { languages } from "./languages.js";
import { Recorder } from "./recorder.js";

const KEY_NAME = "api-key";

export class Start {
  #recorder = new Recorder();
  #onSubmit;
  #retry = null;
  #kept = "";
  /** Also while the browser asks for permission. */
  #isRecording = false;
  /** @type {File | null} */
  file = null;

  /** @param {() => void} onSubmit called when a recording is submitted */
  constructor(onSubmit) {
    this.#onSubmit = onSubmit;
    for (const { code, name } of languages()) {
      byId("language").append(make("option", { value: code }, name));
    }
    byId("key").value = sessionStorage.getItem(KEY_NAME) ?? "";
    byId("file").addEventListener("change", ({ target }) => this.choose(target.files[0]));
    byId("record").addEventListener("click", () => this.#record());
    byId("start").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#acceptDrops();
  }

  /**
   * Show the choices that the server has.
   * @param {{api_key: boolean, assistant: boolean, diarization: boolean}} settings
   */
  offer(settings) {
    byId("assistant-choice").hidden = !settings.assistant;
    byId("speakers-choice").hidden = !settings.diarization;
    byId("key-choice").hidden = !settings.api_key;
  }

  /** Whether the microphone is being recorded: leaving the page would lose it. */
  get isRecording() {
    return this.#recorder.isOn;
  }

  get key() {
    return byId("key").value.trim();
  }

  /** @returns {Record<string, string>} the parameters of the request */
  get parameters() {
    const { value } = byId("channels");
    return {
      language: byId("language").value,
      num_speakers: byId("speakers-choice").hidden ? "" : byId("speakers").value,
      channels: value === "auto" ? "" : value,
      assisted: byId("assistant").checked ? "true" : "",
    };
  }

  /** @param {File | undefined} file */
  choose(file) {
    if (!file) return;
    this.file = file;
    this.clearFailure();
    byId("empty").hidden = true;
    byId("chosen").hidden = false;
    byId("chosen-name").textContent = file.name;
    byId("chosen-size").textContent = size(file.size);
    byId("keep-recording").hidden = true;
    this.#showWhetherToGo();
    announce(`${file.name} chosen`);
  }

  /**
   * Show a failure; if the server was busy, count down and try again.
   * @param {import("./failures.js").Failure} failure
   */
  fail(failure) {
    this.clearFailure();
    const box = byId("failure");
    showFailure(box, failure);
    if (failure.kind === "key") {
      byId("key-choice").hidden = false;
      byId("key").focus();
    }
    if (failure.kind === "busy") this.#countDown(failure.retrySeconds, box);
  }

  clearFailure() {
    clearInterval(this.#retry);
    byId("failure").replaceChildren();
    byId("failure").hidden = true;
  }

  #countDown(seconds, box) {
    // The number changes every second; a screen reader reads the text beside it once.
    const left = make("span", { "aria-hidden": "true" }, `Trying again in ${seconds} s.`);
    const announced = make("span.visually-hidden", {}, `Trying again in ${seconds} seconds.`);
    const now = make("button", { type: "button", click: () => this.#submit() }, "Try now");
    const stop = make("button", { type: "button", click: () => this.clearFailure() }, "Stop waiting");
    box.append(make("div.row", {}, make("p", {}, left, announced), now, stop));
    const end = Date.now() + 1000 * seconds;
    this.#retry = setInterval(() => {
      const rest = Math.ceil((end - Date.now()) / 1000);
      left.textContent = `Trying again in ${Math.max(0, rest)} s.`;
      if (rest <= 0) this.#submit();
    }, 250);
  }

  #submit() {
    if (!this.file || this.#isRecording) return;
    this.clearFailure();
    sessionStorage.setItem(KEY_NAME, this.key);
    this.#onSubmit();
  }

  async #record() {
    const button = byId("record");
    if (this.#recorder.isOn) {
      const file = await this.#recorder.stop();
      this.#isRecording = false;
      button.textContent = "Record again";
      this.choose(file);
      this.#offerToKeep(file);
      byId("go").focus();
      return;
    }
    if (this.#isRecording) return;
    this.#isRecording = true;
    this.#showWhetherToGo();
    try {
      await this.#recorder.start();
    } catch (error) {
      this.#isRecording = false;
      this.#showWhetherToGo();
      this.fail({ kind: "other", message: error.message });
      return;
    }
    this.clearFailure();
    button.textContent = "Stop recording";
    announce("Recording");
    this.#showTime();
  }

  #showWhetherToGo() {
    byId("go").disabled = !this.file || this.#isRecording;
  }

  #showTime() {
    const time = byId("recorded-time");
    time.hidden = !this.#recorder.isOn;
    byId("drop").classList.toggle("recording", this.#recorder.isOn);
    if (!this.#recorder.isOn) return;
    setText(time, clock(this.#recorder.seconds));
    setTimeout(() => this.#showTime(), 250);
  }

  #offerToKeep(file) {
    URL.revokeObjectURL(this.#kept);
    this.#kept = URL.createObjectURL(file);
    const link = byId("keep-recording");
    link.hidden = false;
    link.href = this.#kept;
    link.download = file.name;
  }

  #acceptDrops() {
    // A file dropped anywhere else must not replace the page.
    const isFile = (event) => event.dataTransfer?.types.includes("Files");
    for (const name of ["dragenter", "dragover"]) {
      document.addEventListener(name, (event) => {
        if (!isFile(event)) return;
        event.preventDefault();
        if (byId("start").hidden) event.dataTransfer.dropEffect = "none";
        byId("drop").classList.add("over");
      });
    }
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) byId("drop").classList.remove("over");
    });
    document.addEventListener("drop", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      byId("drop").classList.remove("over");
      if (!byId("start").hidden) this.choose(event.dataTransfer.files[0]);
    });
  }
}
