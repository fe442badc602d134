/** JSON as Python writes it, so that a download equals what the command line writes. */

/** A number that Python has as a float: it is written with a point even where it is whole. */
export class Float {
  /** @param {number} value */
  constructor(value) {
    this.value = value;
  }

  valueOf() {
    return this.value;
  }
}

/**
 * What a JSON text holds. Whole numbers written with a point become `Float`, where the browser
 * tells how they were written; all others stay numbers.
 * @param {string} text
 * @returns {any}
 */
export function parse(text) {
  return JSON.parse(text, (_key, value, context) => {
    const isWhole = typeof value === "number" && Number.isInteger(value);
    return isWhole && context && /[.eE]/.test(context.source) ? new Float(value) : value;
  });
}

/**
 * `value` as `json.dumps(value, ensure_ascii=False, indent=2)` writes it.
 * @param {any} value
 * @param {string} [indent] in front of the line this begins in
 * @returns {string}
 */
export function dumps(value, indent = "") {
  if (value === null || typeof value === "boolean" || Number.isInteger(value)) return String(value);
  if (typeof value === "number") return floatText(value);
  if (value instanceof Float) return floatText(value.value);
  if (typeof value === "string") return stringText(value);
  const deeper = `${indent}  `;
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((item) => dumps(item, deeper))
    : Object.entries(value).map(([key, item]) => `${stringText(key)}: ${dumps(item, deeper)}`);
  if (!items.length) return open + close;
  return `${open}\n${deeper}${items.join(`,\n${deeper}`)}\n${indent}${close}`;
}

/** Python changes to exponents below 0.0001, JavaScript below 0.000001. */
function floatText(value) {
  if (Number.isInteger(value)) return value.toFixed(1);
  if (Math.abs(value) >= 1e-4) return String(value);
  return value.toExponential().replace(/e-(\d)$/, "e-0$1");
}

/** Lone surrogates apart, JavaScript escapes what Python escapes, but for U+007F. */
function stringText(text) {
  return JSON.stringify(text);
}
