/** Peaks of the waveform, as the server sends them. */

/**
 * One line of peaks: the louder of all channels at each place.
 * @param {number[][]} channels peaks from 0 to 1, equally many each
 * @returns {Float32Array}
 */
export function louder(channels) {
  const [first, ...others] = channels;
  return Float32Array.from(first, (peak, i) => Math.max(peak, ...others.map((other) => other[i])));
}
