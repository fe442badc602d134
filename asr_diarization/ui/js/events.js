/** Server-sent events in a text that grows. */

export class EventReader {
  #at = 0;
  #tell;

  /** @param {(name: string, data: string) => void} tell called for every event, in order */
  constructor(tell) {
    this.#tell = tell;
  }

  /**
   * Tell the events that are complete and have not been told yet.
   * @param {string} text everything that has come so far
   */
  read(text) {
    for (let end = text.indexOf("\n\n", this.#at); end >= 0; ) {
      const lines = text.slice(this.#at, end).split("\n");
      const [name, data] = ["event: ", "data: "].map((field) =>
        lines.find((line) => line.startsWith(field))?.slice(field.length),
      );
      if (data !== undefined) this.#tell(name ?? "message", data);
      this.#at = end + 2;
      end = text.indexOf("\n\n", this.#at);
    }
  }
}
