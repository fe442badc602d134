/** Speakers: their order, their colours, and how long they talk. */

/** `--voice-0` and so on in base.css; more could not be told apart. */
const COLOURS = 8;

/**
 * @param {import("./transcript.js").Transcript} transcript
 * @returns {{id: string, name: string, seconds: number, share: number}[]} `share` of all talking
 */
export function speakersOf(transcript) {
  const seconds = new Map();
  for (const { speaker, start, end } of transcript.turns) {
    seconds.set(speaker, (seconds.get(speaker) ?? 0) + end - start);
  }
  for (const speaker of Object.keys(transcript.names)) {
    if (!seconds.has(speaker)) seconds.set(speaker, 0);
  }
  const all = [...seconds.values()].reduce((sum, value) => sum + value, 0);
  return [...seconds].map(([id, value]) => ({
    id,
    name: transcript.names[id],
    seconds: value,
    share: all ? value / all : 0,
  }));
}

/**
 * Give `element` the colour of a speaker, and hollow shapes where all colours are used. The colour
 * stays when others are renamed, merged or added.
 * @param {HTMLElement} element
 * @param {import("./transcript.js").Transcript} transcript
 * @param {string} speaker
 */
export function paint(element, transcript, speaker) {
  const number = transcript.known.indexOf(speaker);
  element.style.setProperty("--speaker", `var(--voice-${number % COLOURS})`);
  element.classList.toggle("hollow", number % (2 * COLOURS) >= COLOURS);
}

/**
 * Stretches in which more than one speaker talks.
 * @param {import("./transcript.js").Turn[]} turns
 * @returns {{start: number, end: number}[]}
 */
export function overlaps(turns) {
  const edges = turns.flatMap((turn) => [[turn.start, 1], [turn.end, -1]]);
  edges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const found = [];
  let talking = 0;
  for (const [time, change] of edges) {
    talking += change;
    if (talking === 2 && change === 1) found.push({ start: time, end: time });
    else if (talking === 1 && change === -1) found.at(-1).end = time;
  }
  return found;
}
