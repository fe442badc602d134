/** The loudness of a recording over time, decoded by the browser. */

import { pause } from "./dom.js";

const RATE = 8000;
const PEAKS_PER_SECOND = 50;
const LONGEST_SECONDS = 3 * 3600;
const LARGEST_BYTES = 300e6;

/**
 * The greatest amplitude of every 20 ms; null where it would take too much memory, or where the
 * browser cannot decode the format.
 * @param {Blob} recording
 * @param {number} seconds its duration
 * @returns {Promise<Float32Array | null>}
 */
export async function loadPeaks(recording, seconds) {
  if (seconds > LONGEST_SECONDS || recording.size > LARGEST_BYTES) return null;
  try {
    const context = new OfflineAudioContext(1, 1, RATE);
    const audio = await context.decodeAudioData(await recording.arrayBuffer());
    return await peaksOf(audio);
  } catch {
    return null;
  }
}

async function peaksOf(audio) {
  const channels = Array.from({ length: audio.numberOfChannels }, (_, i) => audio.getChannelData(i));
  const width = Math.round(audio.sampleRate / PEAKS_PER_SECOND);
  const peaks = new Float32Array(Math.ceil(audio.length / width));
  for (let i = 0; i < peaks.length; i += 1) {
    if (i % 5000 === 4999) await pause();
    for (const samples of channels) {
      const end = Math.min(samples.length, (i + 1) * width);
      for (let j = i * width; j < end; j += 1) peaks[i] = Math.max(peaks[i], Math.abs(samples[j]));
    }
  }
  return peaks;
}
