// Which platform a native binary is made for, read from its first bytes: what keeps another platform's files out of a VSIX.
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const elfMachines = new Map([
  [0x3e, "linux-x64"],
  [0xb7, "linux-arm64"],
]);
const peMachines = new Map([
  [0x8664, "win32-x64"],
  [0xaa64, "win32-arm64"],
]);
const machOTypes = new Map([
  [0x01000007, "darwin-x64"],
  [0x0100000c, "darwin-arm64"],
]);

/** "linux-x64" and the like; "unknown" for a binary of another machine; null for a file that is no native binary. */
export function binaryPlatform(file: string): string | null {
  const head = Buffer.alloc(4096);
  const handle = openSync(file, "r");
  const length = readSync(handle, head, 0, head.length, 0);
  closeSync(handle);
  if (length < 64) return null;
  const magic = head.readUInt32BE(0);
  if (magic === 0x7f454c46) return elfMachines.get(head.readUInt16LE(18)) ?? "unknown";
  if (magic === 0xcffaedfe) return machOTypes.get(head.readUInt32LE(4)) ?? "unknown";
  if (magic === 0xcafebabe || magic === 0xcefaedfe) return "unknown"; // several machines in one, or 32 bits
  if (head.readUInt16LE(0) !== 0x5a4d) return null;
  const at = head.readUInt32LE(60);
  if (at + 6 > length || head.readUInt32LE(at) !== 0x4550) return "unknown";
  return peMachines.get(head.readUInt16LE(at + 4)) ?? "unknown";
}

/** The part of a macOS binary for several machines that is `platform`'s, which is a whole binary with its own signature. */
export function sliceFor(file: string, platform: string): Buffer {
  const all = readFileSync(file);
  if (all.readUInt32BE(0) === 0xcafebabe) {
    const count = all.readUInt32BE(4);
    for (let at = 8; at < 8 + count * 20; at += 20) {
      if (machOTypes.get(all.readUInt32BE(at)) !== platform) continue;
      const offset = all.readUInt32BE(at + 8);
      return all.subarray(offset, offset + all.readUInt32BE(at + 12));
    }
  }
  throw new Error(`${file} holds nothing for ${platform}`);
}
