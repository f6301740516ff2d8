// Ids that package.json contributes, in one typed place: test/unit/extension/manifest.test.ts holds the two together.

export const views = {
  runs: "saeEnsembles.runs",
  ensembles: "saeEnsembles.ensembles",
  features: "saeEnsembles.features",
  here: "saeEnsembles.here",
} as const;

/** Colours of the marks of pinned features, in the order of `hues` in editor/palette.ts. */
export const pinColors = ["saeEnsembles.pin1", "saeEnsembles.pin2", "saeEnsembles.pin3", "saeEnsembles.pin4"] as const;

/** View types of the webview panels that come back when a window is loaded again. For each the manifest has an activation event, or its tab would stay blank: VS Code adds none by itself. */
export const panels = {
  featureBrowser: "saeEnsembles.featureBrowser",
  runDashboard: "saeEnsembles.runDashboard",
  debias: "saeEnsembles.debias",
  concepts: "saeEnsembles.concepts",
  nextToken: "saeEnsembles.nextToken",
} as const;
export type PanelType = (typeof panels)[keyof typeof panels];

export const commands = {
  runDemo: "saeEnsembles.runDemo",
  newExperiment: "saeEnsembles.newExperiment",
  importSaes: "saeEnsembles.importSaes",
  runExperiment: "saeEnsembles.runExperiment",
  evaluate: "saeEnsembles.evaluate",
  buildIndex: "saeEnsembles.buildIndex",
  stopRun: "saeEnsembles.stopRun",
  resumeRun: "saeEnsembles.resumeRun",
  deleteRun: "saeEnsembles.deleteRun",
  revealRun: "saeEnsembles.revealRun",
  openDashboard: "saeEnsembles.openDashboard",
  showLog: "saeEnsembles.showLog",
  openReport: "saeEnsembles.openReport",
  compareEnsembles: "saeEnsembles.compareEnsembles",
  revealEnsemble: "saeEnsembles.revealEnsemble",
  deleteEnsemble: "saeEnsembles.deleteEnsemble",
  browseFeatures: "saeEnsembles.browseFeatures",
  filterFeatures: "saeEnsembles.filterFeatures",
  clearFeatureFilter: "saeEnsembles.clearFeatureFilter",
  labelWithModel: "saeEnsembles.labelWithModel",
  showFeature: "saeEnsembles.showFeature",
  debias: "saeEnsembles.debias",
  concepts: "saeEnsembles.concepts",
  refresh: "saeEnsembles.refresh",
  doctor: "saeEnsembles.doctor",
  openGuide: "saeEnsembles.openGuide",
  setHubToken: "saeEnsembles.setHubToken",
  inspectText: "saeEnsembles.inspectText",
  stopInspecting: "saeEnsembles.stopInspecting",
  showFilePart: "saeEnsembles.showFilePart",
  chooseEnsemble: "saeEnsembles.chooseEnsemble",
  inspectionMenu: "saeEnsembles.inspectionMenu",
  rankFeaturesHere: "saeEnsembles.rankFeaturesHere",
  tintByFeature: "saeEnsembles.tintByFeature",
  tintByStrongest: "saeEnsembles.tintByStrongest",
  pinFeature: "saeEnsembles.pinFeature",
  flagFeature: "saeEnsembles.flagFeature",
  labelFeature: "saeEnsembles.labelFeature",
  nextToken: "saeEnsembles.nextToken",
  ablateFeature: "saeEnsembles.ablateFeature",
  steerFeature: "saeEnsembles.steerFeature",
  compareTexts: "saeEnsembles.compareTexts",
} as const;

/** VS Code's own command. */
export const manageTrust = "workbench.trust.manage";

export const editors = { tensorFile: "saeEnsembles.tensorFile" } as const;

/** Keys of `when` clauses that we set. */
export const contexts = {
  /** The service has said which runs there are: before, nobody can say that there is none. */
  runsListed: "saeEnsembles.runsListed",
  featuresFiltered: "saeEnsembles.featuresFiltered",
  /** An ensemble has an index to browse. */
  hasFeatures: "saeEnsembles.hasFeatures",
  /** A feature was flagged, labelled or noted. */
  hasAnnotations: "saeEnsembles.hasAnnotations",
} as const;

/** Experiment files, as VS Code's selectors of documents have it. */
export const experimentFiles = { pattern: "**/*.sae.jsonc", scheme: "file" } as const;

export const taskType = "sae-ensembles";

export const settings = {
  section: "saeEnsembles",
  nodePath: "runs.nodePath",
  marks: "inspection.strengthMarks",
  device: "runs.device",
  tensorflowFolder: "runs.tensorflowFolder",
  onnxruntimeFolder: "runs.onnxruntimeFolder",
  progressNotification: "runs.progressNotification",
} as const;

/** Context key: whether the active editor is inspected. */
export const inspectingContext = "saeEnsembles:inspecting";

/** The language model tool. */
export const featuresTool = "saeEnsembles_features";
