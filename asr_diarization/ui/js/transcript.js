/**
 * The transcript: an immutable value; every edit returns a new one.
 *
 * @typedef {{text: string, start: number, end: number, probability: number | null}} Word
 *   `text` keeps the space in front of it, so that words joined give the segment's text.
 * @typedef {{id: number, start: number, end: number, text: string, words: Word[],
 *   speaker: string | null, language: string | null, confidence: number | null,
 *   overlap: boolean}} Segment
 * @typedef {{speaker: string, start: number, end: number}} Turn
 * @typedef {{segments: Segment[], turns: Turn[], names: Record<string, string>, known: string[],
 *   language: string | null, duration: number, voices: object, warnings: string[],
 *   stats: object}} Transcript
 *   A speaker's id is the name that the server gave; `names` has the names of now. `known` has the
 *   ids of all speakers, also of merged ones, in the order in which they were added.
 */

import { retime } from "./retiming.js";

/**
 * The name of a speaker; the empty string for null.
 * @param {Transcript} transcript
 * @param {string | null} speaker
 */
export function nameOf(transcript, speaker) {
  return speaker === null ? "" : transcript.names[speaker];
}

/**
 * Consecutive segments of one speaker, together.
 * @param {Transcript} transcript
 * @returns {Segment[][]}
 */
export function utterances(transcript) {
  const groups = [];
  for (const segment of transcript.segments) {
    const last = groups.at(-1);
    if (last && last[0].speaker === segment.speaker) last.push(segment);
    else groups.push([segment]);
  }
  return groups;
}

/**
 * The transcript with a speaker renamed everywhere. Two speakers of one name are merged.
 * @param {Transcript} transcript
 * @param {string} speaker
 * @param {string} name
 * @returns {Transcript}
 */
export function rename(transcript, speaker, name) {
  if (transcript.names[speaker] === name) return transcript;
  const other = Object.keys(transcript.names).find(
    (id) => id !== speaker && transcript.names[id] === name,
  );
  if (other === undefined) {
    return { ...transcript, names: { ...transcript.names, [speaker]: name } };
  }
  const merged = (value) => (value.speaker === speaker ? { ...value, speaker: other } : value);
  const { [speaker]: _gone, ...names } = transcript.names;
  return {
    ...transcript,
    names,
    segments: transcript.segments.map(merged),
    turns: joinTurns(transcript.turns.map(merged), other),
  };
}

/**
 * The transcript with one more speaker, who has no segment yet, and the speaker's id.
 * @param {Transcript} transcript
 * @returns {[Transcript, string]}
 */
export function addSpeaker(transcript) {
  const taken = new Set([...transcript.known, ...Object.values(transcript.names)]);
  let number = 0;
  let speaker;
  do {
    speaker = `SPEAKER_${String(number).padStart(2, "0")}`;
    number += 1;
  } while (taken.has(speaker));
  const names = { ...transcript.names, [speaker]: speaker };
  return [{ ...transcript, names, known: [...transcript.known, speaker] }, speaker];
}

/**
 * The transcript with another speaker for a segment: its words, and its time in the turns.
 * @param {Transcript} transcript
 * @param {number} id
 * @param {string} speaker
 * @returns {Transcript}
 */
export function move(transcript, id, speaker) {
  const moved = transcript.segments.find((segment) => segment.id === id);
  if (!moved || moved.speaker === speaker) return transcript;
  const segments = transcript.segments.map((segment) =>
    segment === moved ? { ...segment, speaker, confidence: null } : segment,
  );
  return { ...transcript, segments, turns: moveTurns(transcript.turns, moved, speaker) };
}

/** The parts of the old speaker's turns inside the segment go to the new speaker. */
function moveTurns(turns, segment, speaker) {
  const moved = [];
  const kept = [];
  for (const turn of turns) {
    const start = Math.max(turn.start, segment.start);
    const end = Math.min(turn.end, segment.end);
    if (turn.speaker !== segment.speaker || start >= end) {
      kept.push(turn);
      continue;
    }
    moved.push({ speaker, start, end });
    if (turn.start < start) kept.push({ ...turn, end: start });
    if (end < turn.end) kept.push({ ...turn, start: end });
  }
  if (!moved.length) moved.push({ speaker, start: segment.start, end: segment.end });
  return joinTurns([...kept, ...moved], speaker);
}

/** Turns in order, those of `speaker` that touch or overlap as one. */
function joinTurns(turns, speaker) {
  const joined = [];
  let last = null;
  for (const turn of turns.toSorted((a, b) => a.start - b.start || a.end - b.end)) {
    if (turn.speaker === speaker && last && turn.start <= last.end) {
      last.end = Math.max(last.end, turn.end);
    } else if (turn.speaker === speaker) {
      last = { ...turn };
      joined.push(last);
    } else {
      joined.push(turn);
    }
  }
  return joined;
}

/**
 * The transcript with another text for a segment; words that stayed keep their times.
 * An empty text removes the segment.
 * @param {Transcript} transcript
 * @param {number} id
 * @param {string} text
 * @returns {Transcript}
 */
export function say(transcript, id, text) {
  const written = text.trim().replace(/\s+/g, " ");
  const segments = transcript.segments.flatMap((segment) => {
    if (segment.id !== id || segment.text === written) return [segment];
    return written ? [{ ...segment, text: written, words: retime(segment, written) }] : [];
  });
  const isSame = segments.every((segment, i) => segment === transcript.segments[i]);
  return isSame && segments.length === transcript.segments.length
    ? transcript
    : { ...transcript, segments };
}
