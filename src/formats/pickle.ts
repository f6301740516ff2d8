// A pickle read opcode by opcode: the few that data needs, none that runs anything. What a global or a persistent id stands for is the caller's to say.
import { InputError } from "./inputError.ts";

/** dict is a Map, list and tuple are arrays; the rest is what the caller's hooks made. */
export type PickleValue = unknown;

/** Each throws InputError for what it doesn't know. */
export interface PickleHooks {
  /** GLOBAL, STACK_GLOBAL: the value that stands for a name. Never import anything here. */
  global(module: string, name: string): PickleValue;
  /** REDUCE: callable(*args). `key`: the string below it on the stack, which in a dict is the value's name; for errors. */
  reduce(callable: PickleValue, args: readonly PickleValue[], key: string | undefined): PickleValue;
  /** BUILD: object.__setstate__(state). */
  build(object: PickleValue, state: PickleValue): void;
  /** BINPERSID. */
  persistent(id: PickleValue): PickleValue;
}

/** Containers inside containers, counted when one is put into another. State dicts need a handful. */
const DEEPEST = 100;
const MARK = Symbol("mark");

/** By pickletools' names; those that are missing below are refused by name. */
const OPCODES: Readonly<Record<number, string>> = {
  40: "MARK",
  46: "STOP",
  48: "POP",
  49: "POP_MARK",
  50: "DUP",
  66: "BINBYTES",
  67: "SHORT_BINBYTES",
  70: "FLOAT",
  71: "BINFLOAT",
  73: "INT",
  74: "BININT",
  75: "BININT1",
  76: "LONG",
  77: "BININT2",
  78: "NONE",
  80: "PERSID",
  81: "BINPERSID",
  82: "REDUCE",
  83: "STRING",
  84: "BINSTRING",
  85: "SHORT_BINSTRING",
  86: "UNICODE",
  88: "BINUNICODE",
  93: "EMPTY_LIST",
  97: "APPEND",
  98: "BUILD",
  99: "GLOBAL",
  100: "DICT",
  101: "APPENDS",
  103: "GET",
  104: "BINGET",
  105: "INST",
  106: "LONG_BINGET",
  108: "LIST",
  111: "OBJ",
  112: "PUT",
  113: "BINPUT",
  114: "LONG_BINPUT",
  115: "SETITEM",
  116: "TUPLE",
  117: "SETITEMS",
  41: "EMPTY_TUPLE",
  125: "EMPTY_DICT",
  128: "PROTO",
  129: "NEWOBJ",
  130: "EXT1",
  131: "EXT2",
  132: "EXT4",
  133: "TUPLE1",
  134: "TUPLE2",
  135: "TUPLE3",
  136: "NEWTRUE",
  137: "NEWFALSE",
  138: "LONG1",
  139: "LONG4",
  140: "SHORT_BINUNICODE",
  141: "BINUNICODE8",
  142: "BINBYTES8",
  143: "EMPTY_SET",
  144: "ADDITEMS",
  145: "FROZENSET",
  146: "NEWOBJ_EX",
  147: "STACK_GLOBAL",
  148: "MEMOIZE",
  149: "FRAME",
  150: "BYTEARRAY8",
  151: "NEXT_BUFFER",
  152: "READONLY_BUFFER",
};

/**
 * Runs one pickle from byte `start` on and tells where it ends. `file` and `name` are for errors.
 * Memory stays a small multiple of the bytes: nothing is allocated by a length that is only claimed, and the memo is a map.
 * Containers that are put together from inside out nest at most 100 deep; one that is filled after it was put elsewhere may
 * nest deeper, hold itself, or hold another twice over and over. So the value is never walked or shown in full (brief.ts).
 * Throws InputError.
 */
export function unpickle(
  bytes: Uint8Array,
  { file, name }: { file: string; name: string },
  hooks: PickleHooks,
  start = 0,
): { value: PickleValue; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: PickleValue[] = [];
  const memo = new Map<number, PickleValue>();
  const depths = new WeakMap<object, number>();
  let at = start;
  let opcodeAt = start;

  const refuse: (found: string, expected: string) => never = (found, expected) => {
    throw new InputError({ file, where: `byte ${opcodeAt} of ${name}`, found, expected });
  };
  /** The place of the next `length` bytes. */
  const take = (length: number, what: string): number => {
    if (length > bytes.length - at) {
      refuse(`${what} of ${length} bytes`, `at most ${bytes.length - at}: the pickle ends there, without STOP`);
    }
    at += length;
    return at - length;
  };
  const u8 = () => bytes[take(1, "a number")]!;
  const u16 = () => view.getUint16(take(2, "a number"), true);
  const u32 = () => view.getUint32(take(4, "a number"), true);
  const u64 = (): number => {
    const value = view.getBigUint64(take(8, "a number"), true);
    return value <= BigInt(bytes.length) ? Number(value) : refuse(`a length of ${value}`, `at most ${bytes.length}`);
  };
  const text = (length: number): string => {
    const from = take(length, "a string");
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(from, at));
    } catch {
      return refuse("a string that is not UTF-8", "UTF-8");
    }
  };
  const blob = (length: number) => bytes.slice(take(length, "bytes"), at);
  const line = (): string => {
    const end = bytes.indexOf(10, at);
    if (end < 0 || end - at > 1000) return refuse("a name without an end", "a line");
    const value = text(end - at);
    at++;
    return value;
  };
  const long = (length: number): number | bigint => {
    if (length > 16) refuse(`a whole number of ${length} bytes`, "at most 16");
    const from = take(length, "a whole number");
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[from + i]!);
    value = BigInt.asIntN(8 * length, value);
    return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
  };
  const pop = (): PickleValue => {
    if (stack.length === 0 || stack.at(-1) === MARK) refuse("nothing on the stack", "a value");
    return stack.pop();
  };
  const toMark = (): PickleValue[] => {
    const mark = stack.lastIndexOf(MARK);
    if (mark < 0) refuse("no MARK on the stack", "one");
    const values = stack.splice(mark);
    values.shift();
    return values;
  };
  const several = (count: number): PickleValue[] => Array.from({ length: count }, pop).reverse();
  const deepen = (container: object, values: readonly PickleValue[]): void => {
    let depth = depths.get(container) ?? 1;
    for (const value of values) {
      if (typeof value === "object" && value !== null) depth = Math.max(depth, (depths.get(value) ?? 0) + 1);
    }
    if (depth > DEEPEST) refuse(`containers nested more than ${DEEPEST} deep`, "a state dict");
    depths.set(container, depth);
  };
  const container = <T extends object>(value: T, contents: readonly PickleValue[] = []): T => {
    deepen(value, contents);
    return value;
  };
  const top = (): PickleValue => stack.at(-1);
  const append = (values: readonly PickleValue[]): void => {
    const list = top();
    if (!Array.isArray(list)) refuse("values for what is no list", "a list");
    deepen(list, values);
    for (const value of values) list.push(value);
  };
  const set = (values: readonly PickleValue[]): void => {
    const map = top();
    if (!(map instanceof Map)) refuse("items for what is no dict", "a dict");
    if (values.length % 2 !== 0) refuse("a key without a value", "pairs");
    deepen(map, values);
    for (let i = 0; i < values.length; i += 2) map.set(values[i], values[i + 1]);
  };
  const recall = (index: number): PickleValue =>
    memo.has(index) ? memo.get(index) : refuse(`memo ${index}, which is unset`, "one that was put before");
  const remember = (index: number): void => {
    if (stack.length === 0 || top() === MARK) refuse("nothing to remember", "a value on the stack");
    memo.set(index, top());
  };

  while (true) {
    opcodeAt = at;
    if (at >= bytes.length) refuse("the end without STOP", "a whole pickle");
    const code = bytes[at++]!;
    switch (OPCODES[code]) {
      case "PROTO": {
        const protocol = u8();
        if (protocol < 2 || protocol > 5) refuse(`pickle protocol ${protocol}`, "2 to 5");
        break;
      }
      case "FRAME":
        u64();
        break;
      case "STOP": {
        const value = pop();
        if (stack.length > 0) refuse(`${stack.length} values left on the stack at STOP`, "one value");
        return { value, end: at };
      }
      case "MARK":
        stack.push(MARK);
        break;
      case "POP":
        if (stack.length === 0) refuse("nothing on the stack", "a value");
        stack.pop();
        break;
      case "POP_MARK":
        toMark();
        break;
      case "NONE":
        stack.push(null);
        break;
      case "NEWTRUE":
        stack.push(true);
        break;
      case "NEWFALSE":
        stack.push(false);
        break;
      case "BININT":
        stack.push(u32() | 0);
        break;
      case "BININT1":
        stack.push(u8());
        break;
      case "BININT2":
        stack.push(u16());
        break;
      case "LONG1":
        stack.push(long(u8()));
        break;
      case "BINFLOAT":
        stack.push(view.getFloat64(take(8, "a number"), false));
        break;
      case "BINUNICODE":
        stack.push(text(u32()));
        break;
      case "SHORT_BINUNICODE":
      case "SHORT_BINSTRING":
        stack.push(text(u8()));
        break;
      case "BINUNICODE8":
        stack.push(text(u64()));
        break;
      case "SHORT_BINBYTES":
        stack.push(blob(u8()));
        break;
      case "BINBYTES":
        stack.push(blob(u32()));
        break;
      case "EMPTY_LIST":
        stack.push(container([]));
        break;
      case "EMPTY_DICT":
        stack.push(container(new Map()));
        break;
      case "EMPTY_TUPLE":
        stack.push(container([]));
        break;
      case "TUPLE":
      case "LIST": {
        const values = toMark();
        stack.push(container(values, values));
        break;
      }
      case "TUPLE1":
      case "TUPLE2":
      case "TUPLE3": {
        const values = several(code - 132);
        stack.push(container(values, values));
        break;
      }
      case "DICT": {
        const values = toMark();
        stack.push(container(new Map()));
        set(values);
        break;
      }
      case "APPEND":
        append([pop()]);
        break;
      case "APPENDS":
        append(toMark());
        break;
      case "SETITEM":
        set(several(2));
        break;
      case "SETITEMS":
        set(toMark());
        break;
      case "BINPUT":
        remember(u8());
        break;
      case "LONG_BINPUT":
        remember(u32());
        break;
      case "MEMOIZE":
        remember(memo.size);
        break;
      case "BINGET":
        stack.push(recall(u8()));
        break;
      case "LONG_BINGET":
        stack.push(recall(u32()));
        break;
      case "GLOBAL": {
        const module = line();
        stack.push(hooks.global(module, line()));
        break;
      }
      case "STACK_GLOBAL": {
        const [module, global] = several(2);
        if (typeof module !== "string" || typeof global !== "string")
          return refuse("a global without a name", "its name");
        stack.push(hooks.global(module, global));
        break;
      }
      case "REDUCE": {
        const [callable, args] = several(2);
        if (!Array.isArray(args)) return refuse("a call without a tuple of arguments", "a tuple");
        const below = top();
        stack.push(hooks.reduce(callable, args, typeof below === "string" ? below : undefined));
        break;
      }
      case "BUILD": {
        const state = pop();
        const object = pop();
        hooks.build(object, state);
        stack.push(object);
        break;
      }
      case "BINPERSID":
        stack.push(hooks.persistent(pop()));
        break;
      default: {
        const opcode = OPCODES[code] ?? `0x${code.toString(16)}`;
        refuse(`opcode ${opcode}, which is not allowed`, "the opcodes of a plain state dict");
      }
    }
  }
}
