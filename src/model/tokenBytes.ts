// What a token's name in a vocabulary stands for, as bytes: byte-level alphabets (GPT-2) and SentencePiece's "▁" and <0xNN>.

/** How names of tokens spell bytes. */
export type TokenSpelling = "byte_level" | "sentence_piece";

/** GPT-2's alphabet: a printable character for every byte. Printable bytes stand for themselves, the others follow from U+0100 on. */
const byteOfCharacter = new Map<string, number>();
{
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    byteOfCharacter.set(String.fromCharCode(printable ? byte : next++), byte);
  }
}

const encoder = new TextEncoder();

/** Bytes of a token in the *normalised* text: "▁" stays what it is. Null if the name is not in the byte-level alphabet. */
export function tokenBytes(name: string, spelling: TokenSpelling): Uint8Array | null {
  if (spelling === "sentence_piece") {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(name);
    return byte ? Uint8Array.of(Number.parseInt(byte[1]!, 16)) : encoder.encode(name);
  }
  const bytes = new Uint8Array(name.length);
  for (let i = 0; i < name.length; i++) {
    const byte = byteOfCharacter.get(name[i]!);
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}

/** Bytes as text a person can read: what is not UTF-8 stands as "⟨E2⟩", byte by byte. */
export function readableText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at]!);
    try {
      text += strict.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      text += `⟨${bytes[at]!.toString(16).toUpperCase().padStart(2, "0")}⟩`;
      at++;
    }
  }
  return text;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}
