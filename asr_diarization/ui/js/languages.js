/** Whisper's languages, by their names in the browser. */

const CODES =
  "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th " +
  "ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr " +
  "pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt " +
  "haw ln ha ba jw su yue";

/** Codes of Whisper that are out of date: Javanese. */
const TODAY = { jw: "jv" };

const names = new Intl.DisplayNames("en", { type: "language" });

/**
 * @param {string} code
 * @returns {string} such as "English"
 */
export function languageName(code) {
  return names.of(TODAY[code] ?? code) ?? code;
}

/** @returns {{code: string, name: string}[]} all, by name */
export function languages() {
  return CODES.split(" ")
    .map((code) => ({ code, name: languageName(code) }))
    .sort((a, b) => a.name.localeCompare(b.name, "en"));
}
