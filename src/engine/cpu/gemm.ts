// The encoder's matrix product, pre = X · W_encᵀ, and the other products that dense steps need: by onnxruntime on one thread, or by our own kernel.
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeOnnx } from "../../formats/onnx.ts";

type Ort = typeof import("onnxruntime-node");

/** One matrix of float32 values with its shape. */
export interface Matrix {
  readonly data: Float32Array;
  readonly shape: readonly [number, number];
}

/** Products by the native library, each on the calling thread; outputs are written in place. */
export class NativeGemm {
  readonly #ort: Ort;
  readonly #sessions = new Map<string, Promise<InferenceSession>>();

  private constructor(ort: Ort) {
    this.#ort = ort;
  }

  /** Null with the reason where the library is missing, or does not take shared memory. */
  static async load(): Promise<NativeGemm | { reason: string }> {
    try {
      const { default: ort } = (await import("onnxruntime-node")) as unknown as { default: Ort };
      const gemm = new NativeGemm(ort);
      const shared = (values: number[]): Float32Array => {
        const view = new Float32Array(new SharedArrayBuffer(4 * values.length));
        view.set(values);
        return view;
      };
      const out = shared([0]);
      await gemm.run(
        "nt",
        { data: shared([1, 2]), shape: [1, 2] },
        { data: shared([3, 4]), shape: [1, 2] },
        out,
        [1, 1],
      );
      if (out[0] !== 11) return { reason: "onnxruntime-node does not write to shared memory here" };
      return gemm;
    } catch (error) {
      return { reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** out = A·B ("nn"), A·Bᵀ ("nt") or Aᵀ·B ("tn"). */
  async run(kind: "nn" | "nt" | "tn", A: Matrix, B: Matrix, out: Float32Array, shape: [number, number]): Promise<void> {
    let session = this.#sessions.get(kind);
    if (!session) {
      session = this.#open(kind);
      this.#sessions.set(kind, session);
    }
    const tensor = ({ data, shape }: Matrix): Tensor => new this.#ort.Tensor("float32", data, shape);
    await (await session).run({ A: tensor(A), B: tensor(B) }, { C: tensor({ data: out, shape }) });
  }

  #open(kind: string): Promise<InferenceSession> {
    const value = (name: string) => ({ name, dtype: "F32" as const, shape: [`${name}0`, `${name}1`] });
    const model = encodeOnnx({
      opsets: { "": 17 },
      graph: {
        name: kind,
        nodes: [
          {
            opType: "Gemm",
            inputs: ["A", "B"],
            outputs: ["C"],
            attributes: { transA: { int: kind === "tn" ? 1 : 0 }, transB: { int: kind === "nt" ? 1 : 0 } },
          },
        ],
        initializers: [],
        inputs: [value("A"), value("B")],
        outputs: [value("C")],
      },
    });
    return this.#ort.InferenceSession.create(model, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: "sequential",
      enableCpuMemArena: false,
      enableMemPattern: false,
    });
  }
}
