// Time-outs that both host and views need, apart from the schemas, which activation does not load.

/** Milliseconds that long work on labelled texts may take before its asker gives up: it shows progress and can be cancelled. */
export const PROBING_PATIENCE = 6 * 3_600_000;
