/** Server-sent events in a response that is still growing. */

export class EventReader {
  #at = 0;
  #onEvent;

  /** @param {(name: string, data: string) => void} onEvent called for every event, in order */
  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  /**
   * Pass on the events that are complete and were not passed on yet.
   * @param {string} text everything received so far
   */
  read(text) {
    for (let end = text.indexOf("\n\n", this.#at); end >= 0; ) {
      const lines = text.slice(this.#at, end).split("\n");
      const [name, data] = ["event: ", "data: "].map((field) =>
        lines.find((line) => line.startsWith(field))?.slice(field.length),
      );
      if (data !== undefined) this.#onEvent(name ?? "message", data);
      this.#at = end + 2;
      end = text.indexOf("\n\n", this.#at);
    }
  }
}
