// Training a linear probe as SHIFT and SAEBench do: AdamW on the binary cross-entropy with an L1 penalty on the weights. Not the logistic regression of concept detection.
import { type Examples, requireBothLabels } from "./examples.ts";
import { accuracy, type Probe } from "./probe.ts";

/** Keys as in SAEBench and torch.optim.AdamW. */
export interface ProbeSettings {
  readonly lr: number;
  /** AdamW's, on weight and bias alike (torch's default). */
  readonly weight_decay: number;
  /** Coefficient of Σ|w|; the bias is not penalised. */
  readonly l1_penalty: number;
  readonly batch_size: number;
  readonly epochs: number;
  /** Epochs without a better accuracy after which training ends; null: never. */
  readonly early_stopping_patience: number | null;
}

export const probeDefaults: ProbeSettings = {
  lr: 1e-3,
  weight_decay: 0.01,
  l1_penalty: 1e-3,
  batch_size: 16,
  epochs: 20,
  early_stopping_patience: null,
};

/** What decides a training beside the settings; the same plan gives the same bits. */
export interface ProbePlan {
  readonly train: Examples;
  /** The epoch that is kept is the first with the best accuracy on these. */
  readonly selection: Examples;
  /** Of each epoch, positions in `train` in the order in which they are seen. */
  readonly orders: readonly Uint32Array[];
  /** Zeros where left out. */
  readonly initial?: Probe;
}

export interface TrainedProbe {
  /** As it was after `epoch`. */
  readonly probe: Probe;
  /** As it was at the end. */
  readonly last: Probe;
  /** Counted from 0. */
  readonly epoch: number;
  /** On the selection rows, after each epoch. */
  readonly accuracies: readonly number[];
  /** Updates taken; the fewer, the more a probe leans on what is easy. */
  readonly steps: number;
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPS = 1e-8;

/** Everything in float64. Throws RangeError where the rows to learn from have one label only. */
export function trainProbe(plan: ProbePlan, settings: ProbeSettings = probeDefaults): TrainedProbe {
  const { train, selection, orders, initial } = plan;
  const { lr, weight_decay, l1_penalty, batch_size, epochs, early_stopping_patience } = settings;
  requireBothLabels(train.labels, "training a probe");
  if (selection.rows.length === 0) throw new RangeError("training a probe: no rows to select the epoch on");
  if (orders.length < epochs) throw new RangeError(`training a probe: ${orders.length} orders for ${epochs} epochs`);
  const { d, values } = train.x;
  // The bias is the last parameter.
  const parameters = new Float64Array(d + 1);
  if (initial) {
    parameters.set(initial.w);
    parameters[d] = initial.b;
  }
  const gradient = new Float64Array(d + 1);
  const mean = new Float64Array(d + 1);
  const square = new Float64Array(d + 1);
  const now = (): Probe => ({ w: parameters.slice(0, d), b: parameters[d]! });
  const accuracies: number[] = [];
  let best = { probe: now(), epoch: -1, accuracy: Number.NEGATIVE_INFINITY };
  let step = 0;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = orders[epoch]!;
    for (let from = 0; from < order.length; from += batch_size) {
      const to = Math.min(order.length, from + batch_size);
      for (let j = 0; j < d; j++) gradient[j] = l1_penalty * Math.sign(parameters[j]!);
      gradient[d] = 0;
      for (let at = from; at < to; at++) {
        const start = train.rows[order[at]!]! * d;
        let logit = parameters[d]!;
        for (let j = 0; j < d; j++) logit += values[start + j]! * parameters[j]!;
        const error = (1 / (1 + Math.exp(-logit)) - train.labels[order[at]!]!) / (to - from);
        for (let j = 0; j < d; j++) gradient[j]! += error * values[start + j]!;
        gradient[d]! += error;
      }
      step++;
      const size = lr / (1 - BETA1 ** step);
      const root = Math.sqrt(1 - BETA2 ** step);
      for (let j = 0; j <= d; j++) {
        const g = gradient[j]!;
        mean[j] = BETA1 * mean[j]! + (1 - BETA1) * g;
        square[j] = BETA2 * square[j]! + (1 - BETA2) * g * g;
        parameters[j] =
          parameters[j]! * (1 - lr * weight_decay) - (size * mean[j]!) / (Math.sqrt(square[j]!) / root + EPS);
      }
    }
    const reached = accuracy(now(), selection);
    accuracies.push(reached);
    if (reached > best.accuracy) best = { probe: now(), epoch, accuracy: reached };
    if (early_stopping_patience !== null && epoch - best.epoch >= early_stopping_patience) break;
  }
  return { probe: best.probe, last: now(), epoch: best.epoch, accuracies, steps: step };
}
