// The hook points of a block, by TransformerLens' names: their order, and how wide the values there are. What stands there is each family's to say.

/** Which hooks a model's blocks have, and the widths of the values there. */
export interface BlockHooks {
  /** Of the residual stream, and of what is written to it. */
  readonly dModel: number;
  /** Of attn.hook_z: all heads side by side, heads × width of a head, as many as there are queries. Absent where it isn't offered. */
  readonly dHeads?: number;
  /** Of mlp.hook_post. Absent where it isn't offered. */
  readonly dMlp?: number;
  /** Attention and MLP read the residual stream side by side, so that nothing stands between them: no hook_resid_mid. */
  readonly parallel?: boolean;
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
} as const satisfies Record<string, keyof BlockHooks>;

type HookKind = keyof typeof WIDTH_AT;

/** In the order of execution. */
export const HOOK_KINDS = Object.keys(WIDTH_AT) as readonly HookKind[];

/** Every hook of every block, in the order of execution. */
export function hooksOf(model: BlockHooks & { readonly nLayers: number }): string[] {
  const kinds = kindsOf(model);
  return Array.from({ length: model.nLayers }, (_, layer) => kinds.map((kind) => `blocks.${layer}.${kind}`)).flat();
}

function kindsOf(model: BlockHooks): HookKind[] {
  return HOOK_KINDS.filter((kind) => has(model, kind));
}

function has(model: BlockHooks, kind: HookKind): boolean {
  return model[WIDTH_AT[kind]] !== undefined && !(kind === "hook_resid_mid" && model.parallel);
}

interface HookPoint {
  readonly layer: number;
  readonly kind: HookKind;
}

function parsed(hookName: string): HookPoint | null {
  const [, layer, name] = /^blocks\.(0|[1-9]\d*)\.(.+)$/.exec(hookName) ?? [];
  const kind = HOOK_KINDS.find((known) => known === name);
  return kind === undefined ? null : { layer: Number(layer), kind };
}

/** Whether it is the name of a hook that some model may have. */
export function isHookName(value: string): boolean {
  return parsed(value) !== null;
}

/** A hook's block, and which of its hooks it is. Throws RangeError for a name of none. */
export function hookPoint(hookName: string): HookPoint {
  const point = parsed(hookName);
  if (!point) throw new RangeError(`no hook ${hookName}: a block has ${HOOK_KINDS.join(", ")}`);
  return point;
}

/** Width of the values at a hook. Throws RangeError for a name of none, and for one that the model doesn't offer. */
export function hookWidth(model: BlockHooks, hookName: string): number {
  const { kind } = hookPoint(hookName);
  if (!has(model, kind)) throw new RangeError(`no hook ${hookName} in this model`);
  return model[WIDTH_AT[kind]]!;
}

/** Which hooks a model has, in words, where `hookName` is none of them; else null. */
export function hooksExpected(model: BlockHooks & { readonly nLayers: number }, hookName: string): string | null {
  const point = parsed(hookName);
  if (point && point.layer < model.nLayers && has(model, point.kind)) return null;
  return hookWords(model.nLayers, kindsOf(model));
}

export function hookWords(nLayers: number, kinds: readonly string[]): string {
  return `blocks.0 to blocks.${nLayers - 1} with one of ${kinds.join(", ")}`;
}
