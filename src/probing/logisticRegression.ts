// Logistic regression with an L2 penalty, solved to convergence in float64 by Newton's method with conjugate gradients. Not the AdamW probe of trainProbe.ts.
import { requireBothLabels } from "./examples.ts";
import type { DesignMatrix } from "./featureTable.ts";

export interface LogisticFit {
  /** [width] */
  readonly coef: Float64Array;
  readonly intercept: number;
  /** Largest component of the gradient that is left. */
  readonly gradient: number;
}

/** Newton steps; from zero some ten suffice. */
const MOST_STEPS = 200;
/** The gradient falls to this share of what it was at zero. */
const TOLERANCE = 1e-11;

/**
 * Minimises ½‖w‖² + C Σ_t log(1 + exp(−±(x_t·w + b))), as scikit-learn's LogisticRegression; the intercept is not penalised.
 * Throws RangeError where the labels are all the same, Error where it doesn't converge.
 */
export function fitLogistic(x: DesignMatrix, labels: ArrayLike<number>, C = 1): LogisticFit {
  requireBothLabels(labels, "a logistic regression");
  // The intercept is the last parameter.
  const size = x.width + 1;
  let parameters = new Float64Array(size);
  let state = evaluate(x, labels, C, parameters);
  const tolerance = TOLERANCE * Math.max(1, largest(state.gradient));
  for (let step = 0; step < MOST_STEPS; step++) {
    const left = largest(state.gradient);
    if (left <= tolerance) return fit(parameters, left);
    const direction = newtonDirection(x, C, state);
    const slope = dot(direction, state.gradient);
    let length = 1;
    for (;;) {
      const tried = parameters.map((value, j) => value + length * direction[j]!);
      const next = evaluate(x, labels, C, tried);
      // Near the optimum the objective no longer tells; the gradient does.
      if (next.objective <= state.objective + 1e-4 * length * slope || largest(next.gradient) < left) {
        parameters = tried;
        state = next;
        break;
      }
      length /= 2;
      if (length < 1e-12) {
        // Rounding allows no further step: what is left is rounding too, or the problem is broken.
        if (left <= 1e3 * tolerance) return fit(parameters, left);
        throw new Error(`the logistic regression stands still with a gradient of ${left}`);
      }
    }
  }
  throw new Error(`the logistic regression has not converged after ${MOST_STEPS} steps`);
}

/** x·coef + intercept of each row. */
export function decision(x: DesignMatrix, { coef, intercept }: Pick<LogisticFit, "coef" | "intercept">): Float64Array {
  return x.times(coef).map((value) => value + intercept);
}

interface State {
  readonly objective: number;
  readonly gradient: Float64Array;
  /** σ(1 − σ) of each row: the Hessian's weights. */
  readonly weights: Float64Array;
}

function evaluate(x: DesignMatrix, labels: ArrayLike<number>, C: number, parameters: Float64Array): State {
  const w = parameters.subarray(0, x.width);
  const logits = x.times(w);
  const errors = new Float64Array(x.rows);
  const weights = new Float64Array(x.rows);
  let objective = dot(w, w) / 2;
  let sum = 0;
  for (let t = 0; t < x.rows; t++) {
    const logit = logits[t]! + parameters[x.width]!;
    const tail = Math.exp(-Math.abs(logit));
    const p = logit > 0 ? 1 / (1 + tail) : tail / (1 + tail);
    const margin = labels[t] === 1 ? logit : -logit;
    objective += C * (Math.log1p(tail) + Math.max(0, -margin));
    errors[t] = C * (p - labels[t]!);
    weights[t] = C * (tail / (1 + tail) ** 2);
    sum += errors[t]!;
  }
  const gradient = new Float64Array(parameters.length);
  gradient.set(x.transposedTimes(errors));
  for (let j = 0; j < x.width; j++) gradient[j]! += w[j]!;
  gradient[x.width] = sum;
  return { objective, gradient, weights };
}

/** Solves H δ = −g by conjugate gradients, preconditioned by H's diagonal, the more exactly the smaller g is. */
function newtonDirection(x: DesignMatrix, C: number, { gradient, weights }: State): Float64Array {
  const size = gradient.length;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const diagonal = new Float64Array(size);
  diagonal.set(x.weightedSquares(weights).map((value) => value + 1));
  // A curvature of zero (every row beyond rounding) must not divide.
  diagonal[size - 1] = Math.max(total, C * Number.EPSILON);
  const hessianTimes = (v: Float64Array): Float64Array => {
    const along = x.times(v.subarray(0, size - 1));
    let sum = 0;
    for (let t = 0; t < along.length; t++) {
      along[t] = weights[t]! * (along[t]! + v[size - 1]!);
      sum += along[t]!;
    }
    const result = new Float64Array(size);
    result.set(x.transposedTimes(along));
    for (let j = 0; j < size - 1; j++) result[j]! += v[j]!;
    result[size - 1] = sum;
    return result;
  };
  const solution = new Float64Array(size);
  const residual = gradient.map((value) => -value);
  let scaled = residual.map((value, j) => value / diagonal[j]!);
  const direction = scaled.slice();
  let product = dot(residual, scaled);
  const norm = Math.sqrt(dot(gradient, gradient));
  const enough = norm * Math.min(0.1, Math.sqrt(norm), Math.max(norm, 1e-10));
  for (let step = 0; step < 2 * size + 50; step++) {
    if (Math.sqrt(dot(residual, residual)) <= enough) break;
    const image = hessianTimes(direction);
    const curvature = dot(direction, image);
    if (!(curvature > 0)) break;
    const length = product / curvature;
    for (let j = 0; j < size; j++) {
      solution[j]! += length * direction[j]!;
      residual[j]! -= length * image[j]!;
    }
    scaled = residual.map((value, j) => value / diagonal[j]!);
    const next = dot(residual, scaled);
    for (let j = 0; j < size; j++) direction[j] = scaled[j]! + (next / product) * direction[j]!;
    product = next;
  }
  return solution;
}

function fit(parameters: Float64Array, gradient: number): LogisticFit {
  const width = parameters.length - 1;
  return { coef: parameters.slice(0, width), intercept: parameters[width]!, gradient };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j]! * b[j]!;
  return sum;
}

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
