// The hook points of a block, by TransformerLens' names: their order, and how wide the values there are. What stands there is each family's to say.

/** Widths of the values at a model's hooks. */
export interface HookWidths {
  /** Of the residual stream, and of what is written to it. */
  readonly dModel: number;
  /** Of attn.hook_z: all heads side by side, heads × width of a head, as many as there are queries. Absent where it isn't offered. */
  readonly dHeads?: number;
  /** Of mlp.hook_post. Absent where it isn't offered. */
  readonly dMlp?: number;
}

/** In the order of execution. */
const WIDTH_AT = {
  hook_resid_pre: "dModel",
  "attn.hook_z": "dHeads",
  hook_attn_out: "dModel",
  hook_resid_mid: "dModel",
  "mlp.hook_post": "dMlp",
  hook_mlp_out: "dModel",
  hook_resid_post: "dModel",
} as const satisfies Record<string, keyof HookWidths>;

type HookKind = keyof typeof WIDTH_AT;

const KINDS = Object.keys(WIDTH_AT) as HookKind[];

/** Every hook of every block, in the order of execution. */
export function blockHooks(nLayers: number): string[] {
  return Array.from({ length: nLayers }, (_, layer) => KINDS.map((kind) => `blocks.${layer}.${kind}`)).flat();
}

/** A hook's block, and which of its hooks it is. Throws RangeError for a name of none. */
export function hookPoint(hookName: string): { layer: number; kind: HookKind } {
  const [, layer, name] = /^blocks\.(\d+)\.(.+)$/.exec(hookName) ?? [];
  const kind = KINDS.find((known) => known === name);
  if (kind === undefined) throw new RangeError(`no hook ${hookName}: a block has ${KINDS.join(", ")}`);
  return { layer: Number(layer), kind };
}

/** Width of the values at a hook. Throws RangeError for a name of none, and for one that the model doesn't offer. */
export function hookWidth(widths: HookWidths, hookName: string): number {
  const width = widths[WIDTH_AT[hookPoint(hookName).kind]];
  if (width === undefined) throw new RangeError(`no hook ${hookName} in this model`);
  return width;
}

/** Which hooks a model has, in words, where `hookName` is none of them; else null. */
export function hooksExpected(widths: HookWidths & { readonly nLayers: number }, hookName: string): string | null {
  const offered = KINDS.filter((kind) => widths[WIDTH_AT[kind]] !== undefined);
  const hooks = `blocks.0 to blocks.${widths.nLayers - 1} with one of ${offered.join(", ")}`;
  try {
    hookWidth(widths, hookName);
    return hookPoint(hookName).layer < widths.nLayers ? null : hooks;
  } catch {
    return hooks;
  }
}
