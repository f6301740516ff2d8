// Files that a reader must refuse (test/golden/saes/hostile): each with a message that says what is wrong, nothing run, nothing unpacked, memory bounded.
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { InputError } from "../../../src/formats/inputError.ts";
import { readNpz } from "../../../src/formats/npz.ts";
import { readSafetensors, tensorFloat32 } from "../../../src/formats/safetensors.ts";
import { readTorch, TorchTensor } from "../../../src/formats/torch.ts";
import { loadEnsemble } from "../../../src/sae/ensembleFolder.ts";
import { readStateDict } from "../../../src/sae/layouts/stateDict.ts";
import { golden, temporaryFolder } from "../fixtures.ts";
import { get, type Opcode, put, rebuildTensor, storage, torchFile, word } from "../torchFiles.ts";

const folder = golden("saes", "hostile");

/** What the ideal message says (MANIFEST.json), in the words that ours must hold. */
const refused: Readonly<Record<string, RegExp>> = {
  "pt_os_system.pt": /global os\.system, which is not allowed/,
  "pt_builtins_eval.pt": /global builtins\.eval, which is not allowed/,
  "pt_posix_system_stack_global.pt": /global posix\.system, which is not allowed/,
  "pt_nested_reduce_getattr.pt": /global builtins\.getattr, which is not allowed/,
  "pt_importlib.pt": /global importlib\.import_module, which is not allowed/,
  "pt_load_from_bytes.pt": /global torch\.storage\._load_from_bytes, which is not allowed/,
  "pt_inst_opcode_raw.pt": /bare pickle.*expected a file of torch\.save/,
  "pt_inst_opcode_in_zip.pt": /opcode INST, which is not allowed/,
  "pt_obj_opcode.pt": /global os\.system, which is not allowed/,
  "pt_subprocess_popen.pt": /global subprocess\.Popen, which is not allowed/,
  "pt_build_setattr.pt": /BUILD with __class__/,
  "pt_ext_opcode.pt": /opcode EXT1, which is not allowed/,
  "pt_persistent_id_string.pt": /unknown persistent id/,
  "pt_storage_key_path.pt": /data\/\.\.\/\.\.\/\.\.\/etc\/hostname: found no such entry in the archive/,
  "pt_missing_storage.pt": /storage data\/0: found no such entry/,
  "pt_storage_offset_out_of_range.pt": /tensor encoder\.weight: found a reach to value 227 of a storage of 128/,
  "pt_negative_offset.pt": /storage offset -1/,
  "pt_negative_stride.pt": /stride \[-8, 1\].*no negative strides/,
  "pt_stride_out_of_range.pt": /value 247 of a storage of 128/,
  "pt_zero_stride_memory_bomb.pt": /1099511627776 values from a storage of 1/,
  "pt_wrong_dtype_name.pt": /unknown storage type torch\.Float7Storage/,
  "pt_storage_shorter_than_claimed.pt": /storage data\/0: found 16 bytes, expected 512/,
  "pt_shape_product_overflow.pt": /values from a storage of 128/,
  "pt_rank_mismatch.pt": /2 sizes and 1 strides/,
  "pt_string_length_lie.pt": /string of 2147483647 bytes.*the pickle ends there/,
  "pt_get_of_unknown_memo.pt": /memo 5, which is unset/,
  "pt_billion_laughs.pt": /no dict|left on the stack/,
  "pt_deep_nesting.pt": /nested more than 100 deep/,
  "pt_no_stop.pt": /without STOP/,
  "pt_big_endian.pt": /big-endian archive/,
  "pt_zip_slip.pt": /entry name \.\.\/\.\.\/PWNED/,
  "pt_zip_bomb.pt": /compressed entry/,
  "pt_two_data_pkl.pt": /archive\/data\.pkl: found the name twice/,
  "pt_two_archives.pt": /more than one data\.pkl/,
  "pt_truncated.pt": /no end record/,
  "pt_crc_mismatch.pt": /archive\/data\/0: found other bytes, expected the CRC-32/,
  "pt_torchscript_like.pt": /TorchScript module, expected a state dict/,
  "npz_object_array.npz": /W_enc\.npy: found dtype object/,
  "npz_header_expression.npz": /no plain literal/,
  "npz_zip_bomb.npz": /20474 bytes that become 20971648/,
  "npz_zip_slip.npz": /entry name \.\.\/\.\.\/W_enc\.npy/,
  "npz_shape_larger_than_data.npz": /67108864 bytes, expected 64 bytes/,
  "npz_negative_shape.npz": /size -1/,
  "npz_structured_dtype.npz": /structured dtype/,
  "npz_bad_magic.npz": /W_enc\.npy: found no \.npy file/,
  "npz_header_length_lie.npz": /header of 4294967295 bytes in an entry of 14/,
  "npz_big_endian.npz": /big-endian/,
  "st_header_length_2_60.safetensors": /header length: found 1152921504606846976 bytes/,
  "st_header_length_2_64_minus_1.safetensors": /header length: found 18446744073709551615 bytes/,
  "st_header_200MB_in_100_bytes.safetensors": /header length: found 200000000 bytes.*100 bytes/,
  "st_offsets_out_of_range.safetensors": /tensor b: found an end at byte 128/,
  "st_offsets_overlap.safetensors": /overlap/,
  "st_hole.safetensors": /bytes 32 to 48 of the data that belong to no tensor/,
  "st_trailing_bytes.safetensors": /100 bytes after the last tensor/,
  "st_reversed_offsets.safetensors": /begin ≤ end/,
  "st_duplicate_keys.safetensors": /tensor W: found the name twice/,
  "st_not_json.safetensors": /JSON in UTF-8/,
  "st_header_is_array.safetensors": /found an array, expected a JSON object/,
  "st_shape_does_not_fit.safetensors": /needs 80 bytes, expected 64/,
  "st_unknown_dtype.safetensors": /dtype F7/,
  "st_negative_shape.safetensors": /shape/,
  "st_fractional_offsets.safetensors": /data_offsets/,
  "st_shape_overflow.safetensors": /tensor/,
  "st_metadata_not_strings.safetensors": /__metadata__/,
  "st_empty.safetensors": /0 bytes/,
  "st_seven_bytes.safetensors": /7 bytes/,
};

/** Legal files, and the few that may be read as long as they are read rightly: by name, the values of their tensors. */
const read: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  "control_ok.pt": { "encoder.weight": counting(128) },
  "control_ok.npz": { W_enc: counting(16) },
  "control_ok.safetensors": { W: counting(16) },
  "pt_evil_under_proto_key.pt": { "encoder.weight": counting(128) },
  "pt_zero_stride_expand.pt": { "encoder.weight": counting(128).map((n) => n % 8) },
  "pt_memo_index_lie.pt": {},
  "pt_self_reference.pt": {},
};
/** Read as tensors; what they mean is checked where they become an SAE (test/unit/sae/openSae.test.ts). */
const readable = ["st_proto_key.safetensors", "st_nan_and_inf.safetensors"];

function counting(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

async function tensorsOf(file: string): Promise<Record<string, number[]>> {
  const path = join(folder, file);
  const values: [string, number[]][] = [];
  if (file.endsWith(".pt")) {
    const { root, float32 } = await readTorch(path);
    for (const [name, value] of root as Map<string, unknown>)
      if (value instanceof TorchTensor) values.push([name, [...(await float32(value))]]);
  } else if (file.endsWith(".npz")) {
    const npz = await readNpz(path);
    for (const name of npz.tensors.keys()) values.push([name, [...(await npz.float32(name))]]);
  } else {
    const safetensors = await readSafetensors(path);
    for (const name of safetensors.tensors.keys()) values.push([name, [...(await tensorFloat32(safetensors, name))]]);
  }
  return Object.fromEntries(values);
}

for (const [file, message] of Object.entries(refused)) {
  test(`${file} is refused`, async () => {
    const before = process.memoryUsage.rss();
    await assert.rejects(tensorsOf(file), (error: unknown) => {
      assert.ok(error instanceof InputError, String((error as Error).stack));
      assert.match(error.message, message);
      return true;
    });
    assert.ok(process.memoryUsage.rss() - before < 64 << 20, "memory");
  });
}

for (const [file, tensors] of Object.entries(read)) {
  test(`${file} is read as what it says`, async () => {
    assert.deepEqual(await tensorsOf(file), tensors);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });
}

/** Opcodes that leave a list in memo 0 and nothing on the stack. */
const lists: Readonly<Record<string, readonly Opcode[]>> = {
  "a list that holds another twice, forty times over": [
    ...["]", put(40), word("ha"), "a", "0"],
    ...Array.from({ length: 40 }, (_, i) => ["]", put(39 - i), "(", get(40 - i), get(40 - i), "e", "0"]).flat(),
  ],
  "a list that others were put into from outside in": [
    ...["]", put(0)],
    ...Array.from({ length: 50_000 }, (_, k) => ["]", put(k + 1), "a", "0", get(k + 1)]).flat(),
    "0",
  ],
};
const one = "K\x01";
/** Where a message could show it, and the words that it has instead. */
const places: readonly [RegExp, readonly Opcode[]][] = [
  [/a torch\.device of what is no name/, ["ctorch\ndevice\n", get(0), "\x85R"]],
  [/storage offset a list/, [rebuildTensor, "(", ...storage(word("0"), one), get(0), "))tR"]],
  [/size \[a list/, [rebuildTensor, "(", ...storage(word("0"), one), "K\x00", get(0), ")tR"]],
  [/stride \[a list/, [rebuildTensor, "(", ...storage(word("0"), one), "K\x00)", get(0), "tR"]],
  [/a storage of a list values under the key 0/, storage(word("0"), get(0))],
  [/a storage of 1 values under the key a list/, storage(get(0), one)],
  [/BUILD with a list/, ["}}", get(0), "K\x00sb"]],
  [/no tensors, among a list/, ["}", get(0), "K\x00s"]],
];

for (const [what, opcodes] of Object.entries(lists)) {
  test(`${what} is never shown in full`, async () => {
    const file = join(temporaryFolder(), "lists.pt");
    for (const [message, use] of places) {
      writeFileSync(file, torchFile([...opcodes, ...use]));
      await assert.rejects(readStateDict(file), (error: unknown) => {
        assert.ok(error instanceof InputError, String((error as Error).stack));
        assert.match(error.message, message);
        assert.ok(error.message.length < 500);
        return true;
      });
    }
  });
}

test("an ensemble's members never lie outside its folder", async () => {
  await assert.rejects(
    loadEnsemble(join(folder, "ensemble_path_traversal")),
    /members\.0: found .*, expected the name of a folder/,
  );
});

test("every hostile file has its test, and none has left a trace", () => {
  const named = new Set([...Object.keys(refused), ...Object.keys(read), ...readable]);
  const files = readdirSync(folder).filter((name) => /\.(pt|npz|safetensors)$/.test(name));
  assert.deepEqual(
    files.filter((name) => !named.has(name)),
    [],
  );
  for (const place of [process.cwd(), folder, join(folder, "..", ".."), tmpdir()]) {
    assert.equal(existsSync(join(place, "PWNED")), false);
  }
});
