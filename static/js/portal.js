/* The script of every page: starts the small parts. Page-specific ones (logview.js, editor.js) are loaded by their pages. */

import { start as startTheme } from "./theme.js";
import { start as startPanels } from "./panels.js";
import { start as startCopy } from "./copy.js";
import { start as startKeys } from "./keys.js";
import { start as startTimes } from "./times.js";
import { start as startLive } from "./live.js";

for (const begin of [startTheme, startPanels, startCopy, startKeys, startTimes, startLive]) begin();
