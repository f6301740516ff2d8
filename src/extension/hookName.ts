// Names of hook points as a person types them. Which of them a model has, the service says when it is asked.

const HOOK = /^blocks\.(0|[1-9]\d*)\.(hook_(resid_(pre|mid|post)|mlp_out|attn_out)|attn\.hook_z|mlp\.hook_post)$/;

export function isHookName(value: string): boolean {
  return HOOK.test(value);
}
