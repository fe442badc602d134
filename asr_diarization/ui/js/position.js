/** The word at a time, found by binary search. */

/**
 * @param {import("./transcript.js").Transcript} transcript
 * @returns {(seconds: number) => {id: number, index: number, start: number} | null} null before the
 *   first word, and a second after a word when no other has begun
 */
export function wordFinder(transcript) {
  const words = transcript.segments.flatMap(({ id, start, end, words: own }) =>
    (own.length ? own : [{ start, end }]).map((word, index) => ({
      id,
      index,
      start: word.start,
      end: word.end,
    })),
  );
  words.sort((a, b) => a.start - b.start);
  return (seconds) => {
    let [low, high] = [0, words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (words[middle].start <= seconds) low = middle + 1;
      else high = middle;
    }
    const word = words[low - 1];
    return word && seconds < word.end + 1 ? word : null;
  };
}

/**
 * Words of low probability, in order.
 * @param {import("./transcript.js").Transcript} transcript
 * @param {number} limit
 * @returns {{id: number, index: number, start: number}[]}
 */
export function unsureWords(transcript, limit) {
  return transcript.segments.flatMap(({ id, words }) =>
    words.flatMap(({ probability, start }, index) =>
      probability !== null && probability < limit ? [{ id, index, start }] : [],
    ),
  );
}
