/** Speakers in the order in which they begin, their colours, and how long they talk. */

/** Okabe and Ito's colours, told apart by everybody; the palest last. */
export const COLOURS = [
  "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8f98", "#f0e442",
];

/**
 * @param {import("./transcript.js").Transcript} transcript
 * @returns {{id: string, name: string, colour: string, seconds: number, share: number}[]}
 *   `share` of all talking
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
    colour: colourOf(transcript, id),
    seconds: value,
    share: all ? value / all : 0,
  }));
}

/**
 * The colour of a speaker; it stays when others are renamed, merged or added.
 * @param {import("./transcript.js").Transcript} transcript
 * @param {string} speaker
 */
export function colourOf(transcript, speaker) {
  return COLOURS[transcript.known.indexOf(speaker) % COLOURS.length];
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
