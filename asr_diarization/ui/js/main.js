/** The page: choose a recording, watch the progress, read the transcript. */

import { fromAnswer } from "./answer.js";
import { checkKey, loadSettings, transcribe } from "./api.js";
import { announce, byId } from "./dom.js";
import { Downloads } from "./downloads.js";
import { Failure } from "./failures.js";
import { ProgressView } from "./progress.js";
import { Reader } from "./reader.js";
import { Start } from "./start.js";
import { Store } from "./store.js";

const store = new Store();
const start = new Start(work);
const progress = new ProgressView();
const reader = new Reader(store);
const downloads = new Downloads(store, () => ({
  name: start.file.name.replace(/\.[^.]+$/, "") || "recording",
  key: start.key,
}));
let settings = { api_key: false, assistant: false, diarization: true };
let running = new AbortController();

/** Show one of three views: `start`, `work`, `read`. */
function show(view) {
  byId("start").hidden = view !== "start";
  byId("result").hidden = view === "start";
  byId("progress").hidden = view !== "work";
  byId("tools").hidden = view !== "read";
  byId("again").hidden = view !== "read";
  byId("about").textContent = view === "start" ? "" : start.file.name;
  document.body.dataset.view = view;
}

async function work() {
  const { file, key, parameters } = start;
  running = new AbortController();
  try {
    if (settings.api_key) await checkKey(key);
    reader.open(file);
    progress.start(settings.diarization);
    show("work");
    byId("cancel").focus();
    const answer = await transcribe(file, parameters, {
      key,
      signal: running.signal,
      onUpload: (share) => progress.uploaded(share),
      onEvent: (name, data) => {
        if (name === "progress") progress.update(data);
        if (name === "waveform") reader.draw(data);
        if (name === "segment") reader.preview(data);
      },
    });
    const isWaiting = document.activeElement === byId("cancel");
    show("read");
    const transcript = fromAnswer(answer);
    store.open(transcript);
    downloads.show(transcript);
    await reader.begin();
    if (isWaiting) byId("play").focus();
    const { language, segments } = transcript;
    if (segments.length) announce(`Done: ${byId("about").textContent}`);
    else reader.showSilence();
    byId("conversation").lang = language ?? "";
  } catch (error) {
    reader.close();
    show("start");
    if (!(error instanceof Failure)) throw error;
    if (error.kind === "cancelled") {
      announce("Cancelled");
      byId("go").focus();
    } else {
      start.fail(error);
    }
  }
}

function again() {
  if (store.hasUnsavedEdits && !confirm("Your edits were not downloaded. Leave them behind?")) return;
  reader.close();
  store.open(null);
  show("start");
  byId("file").focus();
}

byId("cancel").addEventListener("click", () => running.abort());
byId("again").addEventListener("click", again);
globalThis.addEventListener("beforeunload", (event) => {
  if (store.hasUnsavedEdits || reader.isTyping || start.isRecording) event.preventDefault();
});
show("start");
try {
  settings = await loadSettings();
  start.offer(settings);
} catch (error) {
  start.fail(error);
}
