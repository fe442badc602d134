/** Word times of a sentence whose text was corrected. */

/**
 * The words of `text`: words that stayed, in order, keep their times and probabilities; new words
 * share the time of those they replace and have no probability.
 * @param {import("./transcript.js").Segment} segment as it was
 * @param {string} text
 * @returns {import("./transcript.js").Word[]}
 */
export function retime(segment, text) {
  if (!segment.words.length) return [];
  const pieces = cut(text, segment);
  const kept = longestCommon(
    segment.words.map((word) => word.text.trim()),
    pieces.map((piece) => piece.trim()),
  );
  const words = [];
  let before = 0;
  let from = 0;
  for (const [old, fresh] of [...kept, [segment.words.length, pieces.length]]) {
    const room = roomOf(segment, before, old);
    words.push(...spread(pieces.slice(from, fresh), room));
    if (fresh < pieces.length) words.push({ ...segment.words[old], text: pieces[fresh] });
    before = old + 1;
    from = fresh + 1;
  }
  return words;
}

/** The text cut into words with the spaces in front; letter by letter where no spaces are written. */
function cut(text, segment) {
  const hasSpaces = segment.words.length < 2 || /\s/.test(segment.text);
  return text.match(hasSpaces || /\s/.test(text) ? /\s*\S+/g : /./gu) ?? [];
}

/** The time of the old words from `first` to `last`, or the gap where they would be. */
function roomOf({ words, start, end }, first, last) {
  if (first < last) return { start: words[first].start, end: words[last - 1].end };
  return { start: words[first - 1]?.end ?? start, end: words[last]?.start ?? end };
}

/** Pieces that share a time by their lengths. */
function spread(pieces, room) {
  const total = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const seconds = Math.max(0, room.end - room.start);
  let passed = 0;
  return pieces.map((piece) => {
    const start = room.start + (seconds * passed) / total;
    passed += piece.length;
    const end = room.start + (seconds * passed) / total;
    return { text: piece, start: milli(start), end: milli(end), probability: null };
  });
}

function milli(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

/** Pairs of indices of a longest common subsequence of `a` and `b`. */
function longestCommon(a, b) {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      lengths[i][j] =
        a[i] === b[j]
          ? lengths[i + 1][j + 1] + 1
          : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i += 1;
    else j += 1;
  }
  return pairs;
}
