// Finds a key given twice in one JSON object: JSON.parse keeps the last in silence.

/** The first key that occurs twice in the same object, or null. The text must be valid JSON. Depth costs no stack. */
export function duplicateKey(json: string): string | null {
  const objects: (Set<string> | null)[] = [];
  const colon = /\s*:/y;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (c === "{") objects.push(new Set());
    else if (c === "[") objects.push(null);
    else if (c === "}" || c === "]") objects.pop();
    else if (c === '"') {
      const start = i;
      for (i++; json[i] !== '"'; i++) if (json[i] === "\\") i++;
      const keys = objects.at(-1);
      colon.lastIndex = i + 1;
      if (!keys || !colon.test(json)) continue;
      const key = JSON.parse(json.slice(start, i + 1)) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}
