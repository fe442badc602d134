/** The JSON of the server: a transcript is read from it, and written to it after edits. */

import { nameOf } from "./transcript.js";

/**
 * The transcript in an answer of `/predict`.
 * @param {any} answer
 * @returns {Transcript}
 */
export function fromAnswer(answer) {
  const words = answer.words.map((word) => ({
    text: word.word,
    start: word.start,
    end: word.end,
    probability: word.probability,
  }));
  let next = 0;
  const segments = answer.segments.map((segment, id) => {
    const spoken = wordsOf(segment.text, words, next);
    next += spoken.length;
    return {
      id,
      start: segment.start,
      end: segment.end,
      text: segment.text,
      words: spoken,
      speaker: segment.speaker,
      language: segment.language,
      confidence: segment.speaker_confidence,
      overlap: segment.overlap,
    };
  });
  const { turns, language, duration, warnings, stats } = answer;
  const voices = {};
  for (const name of ["similarities", "embeddings"]) {
    if (answer[name]) voices[name] = answer[name];
  }
  const names = {};
  for (const { speaker } of [...turns, ...segments]) if (speaker !== null) names[speaker] = speaker;
  const known = Object.keys(names);
  return { segments, turns, names, known, language, duration, voices, warnings, stats };
}

/** The words from `first` on that spell `text`, with the spaces between them; none if none do. */
function wordsOf(text, words, first) {
  const found = [];
  let at = 0;
  for (let i = first; i < words.length && at < text.length; i += 1) {
    const begin = at + text.slice(at).search(/\S/);
    if (!text.startsWith(words[i].text, begin)) return [];
    const end = begin + words[i].text.length;
    found.push({ ...words[i], text: text.slice(at, end) });
    at = end;
  }
  return at === text.length ? found : [];
}

/**
 * The transcript as `/render` reads it: the answer of `/predict` with the edits in it, without the
 * fields that are made from others.
 * @param {import("./transcript.js").Transcript} transcript
 */
export function toAnswer(transcript) {
  const { segments, turns, language, duration, warnings, stats } = transcript;
  const rename = (speaker) => (speaker === null ? null : nameOf(transcript, speaker));
  return {
    language,
    duration,
    words: segments.flatMap((segment) =>
      segment.words.map(({ text, start, end, probability }) => ({
        word: text.trim(),
        start,
        end,
        probability,
        speaker: rename(segment.speaker),
      })),
    ),
    segments: segments.map((segment) => ({
      start: segment.start,
      end: segment.end,
      text: segment.text,
      speaker: rename(segment.speaker),
      language: segment.language,
      speaker_confidence: segment.confidence,
      overlap: segment.overlap,
    })),
    turns: turns.map((turn) => ({ ...turn, speaker: rename(turn.speaker) })),
    ...renamedVoices(transcript),
    warnings,
    stats,
  };
}

/** Similarities and embeddings by today's names; a speaker that was merged has none. */
function renamedVoices({ voices, names }) {
  const renamed = Object.entries(voices).map(([kind, values]) => [
    kind,
    Object.fromEntries(
      Object.entries(values)
        .filter(([speaker]) => speaker in names)
        .map(([speaker, value]) => [names[speaker], value]),
    ),
  ]);
  return Object.fromEntries(renamed);
}
