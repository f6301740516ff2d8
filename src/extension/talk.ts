// Everything that speaks to the service and to the pages of panels: JSON-RPC, and the schemas of both sides. A bundle of its own, loaded with the first message: it takes several times as long to load as everything that activation needs.
import { conceptsHost, conceptsView } from "../protocol/concepts.ts";
import { debiasHost, debiasView } from "../protocol/debias.ts";
import { comparisonHost } from "../protocol/ensembleComparison.ts";
import { featureBrowserHost, featureBrowserView } from "../protocol/featureBrowser.ts";
import { nextTokenHost, nextTokenView } from "../protocol/inspection.ts";
import type { Contract } from "../protocol/rpc.ts";
import { dashboardHost, dashboardView } from "../protocol/runDashboard.ts";
import { tensorFileHost } from "../protocol/tensorFile.ts";

export { PanelLine } from "./panels/panelLine.ts";
export { ServiceLine } from "./serviceLine.ts";

/** The host has nothing to tell this page. */
const nothing = { requests: {}, notifications: {} } as const satisfies Contract;

/** By the name of a page's bundle: what the page asks the host, and what the host tells the page. */
export const pages = {
  concepts: { host: conceptsHost, view: conceptsView },
  debias: { host: debiasHost, view: debiasView },
  "ensemble-comparison": { host: comparisonHost, view: nothing },
  "feature-browser": { host: featureBrowserHost, view: featureBrowserView },
  "next-token": { host: nextTokenHost, view: nextTokenView },
  "run-dashboard": { host: dashboardHost, view: dashboardView },
  "tensor-file": { host: tensorFileHost, view: nothing },
} as const satisfies Record<string, { host: Contract; view: Contract }>;

export type Pages = typeof pages;
