/** A transcript as files: `asr_diarization/formats.py` again, for what was edited here. */

import { Float, dumps } from "./json.js";
import { nameOf, utterances } from "./transcript.js";

const MAX_CUE_MILLISECONDS = 7000;
const MAX_CUE_CHARACTERS = 84;

/**
 * What can be downloaded: a name to show, the file's suffix and type, and what writes it.
 * @type {Record<string, {label: string, suffix: string, type: string,
 *   write: (transcript: import("./transcript.js").Transcript, name: string) => string}>}
 */
export const FORMATS = {
  text: { label: "Text", suffix: "txt", type: "text/plain", write: toConversation },
  srt: { label: "SRT", suffix: "srt", type: "application/x-subrip", write: toSrt },
  vtt: { label: "WebVTT", suffix: "vtt", type: "text/vtt", write: toVtt },
  json: { label: "JSON", suffix: "json", type: "application/json", write: toJson },
  rttm: { label: "RTTM", suffix: "rttm", type: "text/plain", write: toRttm },
};

function milliseconds(seconds) {
  return Math.round(seconds * 1000);
}

function joinTexts(segments) {
  return segments.map((segment) => segment.text).filter(Boolean).join(" ");
}

function latestEnd(spans) {
  return spans.reduce((latest, span) => Math.max(latest, span.end), 0);
}

/** One line for each utterance: `[00:07.1 Ann] Hello.` */
function toConversation(transcript) {
  return utterances(transcript)
    .map((run) => {
      const name = nameOf(transcript, run[0].speaker);
      return `[${clock(run[0].start)}${name && ` ${name}`}] ${joinTexts(run)}\n`;
    })
    .join("");
}

function toSrt(transcript) {
  return cues(transcript)
    .map((cue, i) => {
      const name = nameOf(transcript, cue.speaker);
      const times = `${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}`;
      return `${i + 1}\n${times}\n${name && `${name}: `}${cue.text}\n\n`;
    })
    .join("");
}

function toVtt(transcript) {
  const blocks = cues(transcript).map((cue) => {
    const name = nameOf(transcript, cue.speaker);
    const text = name ? `<v ${markup(name)}>${markup(cue.text)}</v>` : markup(cue.text);
    return `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${text}\n\n`;
  });
  return `WEBVTT\n\n${blocks.join("")}`;
}

function toRttm(transcript, name) {
  return transcript.turns
    .map((turn) => {
      const start = milliseconds(turn.start);
      const lasts = milliseconds(turn.end) - start;
      const times = `${(start / 1000).toFixed(3)} ${(lasts / 1000).toFixed(3)}`;
      const speaker = field(nameOf(transcript, turn.speaker));
      return `SPEAKER ${field(name)} 1 ${times} <NA> <NA> ${speaker} <NA> <NA>\n`;
    })
    .join("");
}

function toJson(transcript) {
  const { segments, turns, language, warnings, stats } = transcript;
  const called = (speaker) => (speaker === null ? null : nameOf(transcript, speaker));
  const groups = turns.length ? utterances(transcript) : [];
  const answer = {
    text: joinTexts(segments),
    chunks: segments.map((s) => ({ text: s.text, timestamp: times(s.start, s.end) })),
    speakers: groups.map((run) => ({
      speaker: called(run[0].speaker),
      text: joinTexts(run),
      timestamp: times(run[0].start, latestEnd(run)),
    })),
    language,
    duration: float(transcript.duration),
    words: segments.flatMap((s) =>
      s.words.map((word) => ({
        word: word.text.trim(),
        start: float(word.start),
        end: float(word.end),
        probability: float(word.probability),
        speaker: called(s.speaker),
      })),
    ),
    segments: segments.map((s) => ({
      start: float(s.start),
      end: float(s.end),
      text: s.text,
      speaker: called(s.speaker),
      language: s.language,
      speaker_confidence: float(s.confidence),
      overlap: s.overlap,
    })),
    turns: turns.map((turn) => ({
      speaker: called(turn.speaker),
      start: float(turn.start),
      end: float(turn.end),
    })),
    ...voicesOf(transcript),
    warnings,
    stats,
  };
  return `${dumps(answer)}\n`;
}

/** Similarities and embeddings under the names of today; a speaker that was merged has none. */
function voicesOf({ voices, names }) {
  const renamed = Object.entries(voices).map(([kind, values]) => [
    kind,
    Object.fromEntries(
      Object.entries(values)
        .filter(([speaker]) => speaker in names)
        .map(([speaker, value]) => [names[speaker], floats(value)]),
    ),
  ]);
  return Object.fromEntries(renamed);
}

function floats(value) {
  return Array.isArray(value) ? value.map(floats) : float(Number(value));
}

function float(value) {
  return value === null ? null : new Float(value);
}

function times(start, end) {
  return [float(start), float(end)];
}

/** Subtitles in the order of their starts: where people talk at once, segments overlap. */
function cues(transcript) {
  return transcript.segments
    .flatMap(cutToCues)
    .sort((a, b) => milliseconds(a.start) - milliseconds(b.start));
}

/** A segment as what fits a subtitle: at most 7 s and 84 characters, cut between words. */
function cutToCues(segment) {
  if (!segment.words.length) return [segment];
  const cut = [[]];
  for (const word of segment.words) {
    const cue = cut.at(-1);
    if (cue.length && isTooLong([...cue, word])) cut.push([word]);
    else cue.push(word);
  }
  return cut.map((words) => ({
    start: words[0].start,
    end: latestEnd(words),
    text: shown(words),
    speaker: segment.speaker,
  }));
}

function isTooLong(words) {
  const lasts = milliseconds(words.at(-1).end) - milliseconds(words[0].start);
  return lasts > MAX_CUE_MILLISECONDS || [...shown(words)].length > MAX_CUE_CHARACTERS;
}

function shown(words) {
  return words.map((word) => word.text).join("").trim();
}

function markup(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** RTTM is split at spaces. */
function field(text) {
  return text.replaceAll(" ", "_");
}

function clock(seconds) {
  const tenths = halfToEven(milliseconds(seconds) / 100);
  const rest = tenths % 36000;
  const time = `${two(Math.floor(rest / 600))}:${two(Math.floor((rest % 600) / 10))}.${rest % 10}`;
  return tenths >= 36000 ? `${Math.floor(tenths / 36000)}:${time}` : time;
}

function stamp(seconds, point) {
  const all = milliseconds(seconds);
  const whole = Math.floor(all / 1000);
  const minutes = Math.floor(whole / 60);
  const time = [Math.floor(minutes / 60), minutes % 60, whole % 60].map(two).join(":");
  return `${time}${point}${String(all % 1000).padStart(3, "0")}`;
}

/** As Python rounds. */
function halfToEven(value) {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

function two(number) {
  return String(number).padStart(2, "0");
}
