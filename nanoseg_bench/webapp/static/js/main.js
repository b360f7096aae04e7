// Starts the page: texts, what the server is, then the parts of the page, then the micrographs of the session.

import * as api from "./api.js";
import { openFirst, poll, startUploads } from "./uploads.js";
import { byId, h, put } from "./dom.js";
import { chooseLanguage, language, languageName, languages, loadLanguage, t } from "./language.js";
import { isUnsaved, onTrouble } from "./saving.js";
import { changed, on, state } from "./state.js";
import { onTrouble as onSampleTrouble, ownFilters } from "./sample.js";
import { startHelp, tellModel } from "./help.js";
import { startJump } from "./jump.js";
import { complain } from "./messages.js";
import { startCharts } from "./charting.js";
import { startDownloads } from "./downloads.js";
import { startFilters } from "./filters.js";
import { startResult } from "./result.js";
import { startScale } from "./scale.js";
import { startTable } from "./table.js";
import { startWorkspace } from "./workspace.js";

const MODEL_POLL = 1500; // ms, until the model is open

async function start() {
  await loadLanguage();
  onTrouble(complain);
  onSampleTrouble(complain);
  offerLanguages();
  await learn();
  startHelp();
  tellModel();
  startUploads();
  startWorkspace();
  startResult();
  startScale();
  startFilters();
  startCharts();
  startTable();
  startDownloads();
  startJump();
  on("micrographs", openFirst);
  addEventListener("beforeunload", (event) => isUnsaved() && event.preventDefault());
  await poll();
  show();
}

/** The page is seen, and answers: before, a click would be lost. */
function show() {
  byId("main").inert = false;
  document.body.classList.remove("starting");
}

async function learn() {
  state.about = await api.get("about");
  state.filters ??= ownFilters();
  // The model may be opened after the page: its confidence comes with it.
  if (state.filters.confidence === null) state.filters = ownFilters();
  if (!state.about.model && !state.about.trouble) {
    setTimeout(learnOfModel, MODEL_POLL);
  }
  byId("footer-text").textContent = t("footer", { version: state.about.version });
  byId("privacy").textContent = t("add.privacy", { n: Math.round(state.about.keep_days) });
  byId("choose-example").hidden = state.about.has_example === false;
}

async function learnOfModel() {
  try {
    await learn();
  } catch {
    setTimeout(learnOfModel, MODEL_POLL); // the server is away; what needs it now says so
    return;
  }
  tellModel();
  changed("about");
}

function offerLanguages() {
  if (languages.length < 2) return;
  byId("language-choice").hidden = false;
  put(byId("language"), languages.map((code) => h("option", { value: code, selected: code === language, lang: code }, languageName(code))));
  byId("language").addEventListener("change", (event) => chooseLanguage(event.target.value));
}

start().catch((error) => {
  show();
  complain(error.message);
});
