// A feature's name, "member/index", and its global number among an ensemble's codes.
import { type Ensemble, memberOffsets } from "./ensemble.ts";

export function featureName(ensemble: Ensemble, feature: number): string {
  const offsets = memberOffsets(ensemble);
  const member = offsets.findLastIndex((first) => first <= feature);
  return `${member}/${feature - offsets[member]!}`;
}

/** null where the name is none, or that of no feature of this ensemble. */
export function featureNumber(ensemble: Ensemble, name: string): number | null {
  const [, member, index] = /^(\d+)\/(\d+)$/.exec(name) ?? [];
  const offsets = memberOffsets(ensemble);
  const [first, next] = [offsets[Number(member)], offsets[Number(member) + 1]];
  return first !== undefined && next !== undefined && Number(index) < next - first ? first + Number(index) : null;
}
