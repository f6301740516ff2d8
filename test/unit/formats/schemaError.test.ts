// What a schema refuses, said by field, found and expected.
import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { schemaError } from "../../../src/formats/schemaError.ts";

const schema = z.strictObject({
  type: z.literal("BPE"),
  sizes: z.array(z.int().positive()).optional(),
  kind: z.enum(["a", "b"]).optional(),
  share: z.number().max(1).optional(),
  token: z.union([z.string(), z.strictObject({ content: z.string() })]).optional(),
  names: z.record(z.string(), z.boolean()).optional(),
  file: z.string().regex(/^\d+$/).optional(),
  shape: z
    .discriminatedUnion("of", [z.object({ of: z.literal("rows") }), z.object({ of: z.literal("list") })])
    .optional(),
  ids: z.union([z.boolean(), z.array(z.int())], { error: "true, false or a list of ids" }).optional(),
});

const cases: [unknown, string][] = [
  [[], "found an empty list, expected a list of things"],
  [null, "found null, expected a list of things"],
  [{}, 'type: found nothing, expected "BPE" (a list of things)'],
  [{ type: "WordPiece" }, 'type: found "WordPiece", expected "BPE" (a list of things)'],
  [{ type: "BPE", sizes: {} }, "sizes: found an object, expected a list (a list of things)"],
  [{ type: "BPE", sizes: [3, 1.5] }, "sizes.1: found 1.5, expected a whole number (a list of things)"],
  [{ type: "BPE", sizes: [0] }, "sizes.0: found 0, expected more than 0 (a list of things)"],
  [{ type: "BPE", kind: "c" }, 'kind: found "c", expected one of "a", "b" (a list of things)'],
  [{ type: "BPE", share: 2 }, "share: found 2, expected at most 1 (a list of things)"],
  [{ type: "BPE", token: 5 }, "token: found 5, expected a string or an object (a list of things)"],
  [{ type: "BPE", token: { content: [1] } }, "token.content: found a list, expected a string (a list of things)"],
  [{ type: "BPE", names: { x: 1 } }, "names.x: found 1, expected true or false (a list of things)"],
  [{ type: "BPE", more: 1 }, "more: found 1, expected no key more (a list of things)"],
  [{ type: "BPE", file: "x" }, 'file: found "x", expected text of the form /^\\d+$/ (a list of things)'],
  [{ type: "BPE", shape: { of: "cube" } }, 'shape.of: found "cube", expected one of "rows", "list" (a list of things)'],
  [{ type: "BPE", shape: {} }, 'shape.of: found nothing, expected one of "rows", "list" (a list of things)'],
  [{ type: "BPE", ids: 1 }, "ids: found 1, expected true, false or a list of ids (a list of things)"],
  [{ type: "x".repeat(1000) }, `type: found "${"x".repeat(58)}…, expected "BPE" (a list of things)`],
];

for (const [value, message] of cases)
  test(message, () => {
    const { error } = schema.safeParse(value);
    const { message: said } = schemaError("a.json", value, error!, "a list of things");
    assert.equal(said, message.startsWith("found") ? `a.json: ${message}` : `a.json, ${message}`);
  });
