/** Records the microphone. */

const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

export class Recorder {
  #media = null;
  #parts = [];
  #began = 0;

  /** Whether it records now. */
  get isOn() {
    return this.#media !== null;
  }

  get seconds() {
    return (performance.now() - this.#began) / 1000;
  }

  /**
   * Start recording; the browser asks for permission first.
   * @throws {Error} with a sentence that says why it cannot
   */
  async start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("The browser records only on pages opened by https or on this computer.");
    }
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true }).catch((error) => {
      throw new Error(
        error.name === "NotFoundError"
          ? "No microphone was found."
          : "The browser did not allow the microphone. Allow it for this page, then try again.",
      );
    });
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.#media = new MediaRecorder(stream, { mimeType });
    this.#parts = [];
    this.#media.addEventListener("dataavailable", (event) => this.#parts.push(event.data));
    this.#began = performance.now();
    this.#media.start(1000);
  }

  /**
   * Stop recording and release the microphone.
   * @returns {Promise<File>}
   */
  stop() {
    const media = this.#media;
    this.#media = null;
    return new Promise((resolve) => {
      media.addEventListener("stop", () => {
        for (const track of media.stream.getTracks()) track.stop();
        const suffix = media.mimeType.replace(/^audio\/(\w+).*/, "$1");
        resolve(new File(this.#parts, `recording.${suffix}`, { type: media.mimeType }));
      });
      media.stop();
    });
  }
}
