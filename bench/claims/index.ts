// Every claim that can be measured, in the order in which `all` takes them.
import type { Claim } from "../claim.ts";
import { trainStepClaims } from "./trainStep.ts";

export const claims: readonly Claim[] = [...trainStepClaims];
