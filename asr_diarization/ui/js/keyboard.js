/** Keyboard shortcuts: none in text fields and lists, letters only in the transcript. */

const TYPING = "input:not([type=checkbox]), textarea, select";
/** Space presses these; on the time of a sentence it plays and pauses. */
const PRESSED_BY_SPACE = "button:not(.time), a, summary, label, input";

/**
 * @param {Record<string, () => void>} actions by key, `Space`, `ArrowLeft`, `/`, ..., or `undo`
 *   and `redo`
 * @param {() => boolean} isOn whether shortcuts are active
 */
export function listenToKeys(actions, isOn) {
  document.addEventListener("keydown", (event) => {
    if (!isOn() || event.defaultPrevented || event.target.matches(TYPING)) return;
    const name = nameOf(event);
    if (name === "Space" && event.target.closest(PRESSED_BY_SPACE)) return;
    if (!name || !actions[name]) return;
    // Speech input may type letters anywhere (WCAG 2.1.4).
    if (name.length === 1 && !event.target.closest("#conversation")) return;
    event.preventDefault();
    actions[name]();
  });
  // Some browsers press a button when the key is released.
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target.matches(".time")) event.preventDefault();
  });
}

function nameOf(event) {
  const isZ = event.key.toLowerCase() === "z";
  if ((event.ctrlKey || event.metaKey) && isZ) return event.shiftKey ? "redo" : "undo";
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  return event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
}
