// The reference engine keeps the engines' contract, at the golden tensors' own tolerances.
import { createReferenceEngine } from "../../../../src/engine/reference/referenceEngine.ts";
import { engineContract } from "../contract.ts";

engineContract("reference", createReferenceEngine);
