// Every claim that can be measured, in the order in which `all` takes them.
import type { Claim } from "../claim.ts";
import { baggingClaim } from "./bagging.ts";
import { clickToScreenClaim } from "./debiasClick.ts";
import { flagsToScoresClaim, poolingClaim, scrClaim } from "./debiasing.ts";
import { deviceChannelClaim } from "./deviceChannel.ts";
import {
  activationClaim,
  browserOpenClaim,
  browserOpenPanelClaim,
  browserScrollClaim,
  vsixSizeClaim,
} from "./editor.ts";
import { indexBuildClaim, indexQueryClaim } from "./featureIndex.ts";
import { gpuBaggingClaim, gpuTrainStepClaim } from "./gpu.ts";
import { gpuSharedClaim } from "./gpuShared.ts";
import { harvestClaim } from "./harvest.ts";
import { harvestFamilyClaims } from "./harvestFamilies.ts";
import { importLargeClaim, importLargeColdClaim } from "./importLarge.ts";
import { inspectHoverClaim, inspectPauseClaim } from "./inspectedTyping.ts";
import { generateClaim, inspectEditClaim, inspectFirstClaim } from "./inspection.ts";
import { denseStepClaim, matryoshkaStepClaim, trainStepClaims } from "./trainStep.ts";

export const claims: readonly Claim[] = [
  ...trainStepClaims,
  matryoshkaStepClaim,
  denseStepClaim,
  baggingClaim,
  gpuTrainStepClaim,
  gpuBaggingClaim,
  gpuSharedClaim,
  deviceChannelClaim,
  harvestClaim,
  ...harvestFamilyClaims,
  indexBuildClaim,
  indexQueryClaim,
  importLargeClaim,
  importLargeColdClaim,
  flagsToScoresClaim,
  clickToScreenClaim,
  poolingClaim,
  scrClaim,
  inspectFirstClaim,
  inspectEditClaim,
  inspectHoverClaim,
  inspectPauseClaim,
  generateClaim,
  activationClaim,
  browserOpenClaim,
  browserOpenPanelClaim,
  browserScrollClaim,
  vsixSizeClaim,
];
