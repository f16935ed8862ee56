// The C interface as functions: `c.tn_array_zeros(...)` returns its outputs, and throws a TenureError unless the status is TN_OK.
//
// koffi passes numbers and addresses only. Structs are written and read here, at the offsets that the description has, because koffi ends
// the process over a field of a wrong type. For the same reason every argument is checked before koffi gets it.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import koffi from "koffi";
import { functions, structs, TN_OK } from "./tenure_c.js";
import * as constants from "./tenure_c.js";

const statuses = new Map();
for (const [name, value] of Object.entries(constants)) {
  if (name === "TN_OK" || name.startsWith("TN_ERR_")) statuses.set(value, name);
}

/** A call that the library refused. */
export class TenureError extends Error {
  constructor(status, message) {
    super(message);
    this.name = "TenureError";
    this.status = status;
    this.code = statuses.get(status) ?? "TN_ERR";
  }
}

/** Integers of 64 bits become numbers where these are exact. */
const exact = (value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value);

/** Numbers of C: their bytes, and how they are read from memory and written to it. */
const numbers = {
  char: [1, (m, at) => m.getUint8(at), (m, at, x) => m.setUint8(at, x)],
  uint8_t: [1, (m, at) => m.getUint8(at), (m, at, x) => m.setUint8(at, x)],
  int32_t: [4, (m, at) => m.getInt32(at, true), (m, at, x) => m.setInt32(at, x, true)],
  uint32_t: [4, (m, at) => m.getUint32(at, true), (m, at, x) => m.setUint32(at, x, true)],
  int64_t: [8, (m, at) => exact(m.getBigInt64(at, true)), (m, at, x) => m.setBigInt64(at, BigInt(x), true)],
  uint64_t: [8, (m, at) => exact(m.getBigUint64(at, true)), (m, at, x) => m.setBigUint64(at, BigInt(x), true)],
  float: [4, (m, at) => m.getFloat32(at, true), (m, at, x) => m.setFloat32(at, x, true)],
  double: [8, (m, at) => m.getFloat64(at, true), (m, at, x) => m.setFloat64(at, x, true)],
};
numbers.size_t = numbers.uint64_t;
numbers.ptrdiff_t = numbers.int64_t;
numbers.int = numbers.int32_t;
const lists = {
  int64_t: BigInt64Array,
  uint64_t: BigUint64Array,
  uint32_t: Uint32Array,
  int32_t: Int32Array,
  uint8_t: Uint8Array,
};
const ranges = {
  int: [-(2n ** 31n), 2n ** 31n - 1n],
  int32_t: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32_t: [0n, 2n ** 32n - 1n],
  uint8_t: [0n, 255n],
  int64_t: [-(2n ** 63n), 2n ** 63n - 1n],
  ptrdiff_t: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64_t: [0n, 2n ** 64n - 1n],
  size_t: [0n, 2n ** 64n - 1n],
};

const wrong = (name, wanted) => new TypeError(`${name} must be ${wanted}`);

/** The number, if it is one of that C type. */
function number(type, name, value) {
  if (type === "float" || type === "double") {
    if (typeof value !== "number") throw wrong(name, "a number");
    return value;
  }
  if (typeof value !== "bigint" && !Number.isInteger(value)) throw wrong(name, "an integer");
  const [least, most] = ranges[type];
  if (value < least || value > most) throw new RangeError(`${name} is ${value}, which is no ${type}`);
  return value;
}

/** The address of a text, an id, an address, or a view of a buffer. What `kept` holds must live until the call returns. */
function address(type, name, value, kept) {
  if (value === null || value === undefined) return 0n;
  if (type === "text") {
    if (typeof value !== "string" || value.includes("\0")) throw wrong(name, "text without a NUL");
    value = Buffer.from(`${value}\0`);
  } else if (typeof value === "bigint") {
    return BigInt.asUintN(64, value);
  } else if (type === "handle" || !ArrayBuffer.isView(value)) {
    throw wrong(name, type === "handle" ? "a handle" : "a view of a buffer, or an address");
  }
  kept.push(value);
  return value.byteLength === 0 ? 0n : koffi.address(value);
}

function write(struct, at, memory, fields, kept) {
  const known = structs[struct];
  if (typeof fields !== "object" || fields === null) throw wrong(struct, "an object");
  if (known.isSized) memory.setBigUint64(at, BigInt(known.size), true);
  for (const [name, value] of Object.entries(fields)) {
    const [type, offset, length] = known.fields[name] ?? [];
    const place = at + offset;
    const label = `${struct}.${name}`;
    if (type === undefined) throw new TypeError(`${struct} has no field ${name}`);
    else if (value === undefined || (name === "size" && known.isSized)) continue;
    else if (length > 0) writeList(type, label, memory, place, length, value);
    else if (type in structs) write(type, place, memory, value, kept);
    else if (type in numbers) numbers[type][2](memory, place, number(type, label, value));
    else memory.setBigUint64(place, address(type, label, value, kept), true);
  }
}

function writeList(type, label, memory, place, length, values) {
  const items = type === "char" ? Buffer.from(`${values}\0`) : values;
  if (items.length > length) throw new RangeError(`${label} has room for ${length} items`);
  const [bytes, , set] = numbers[type];
  for (let at = 0; at < items.length; at++) set(memory, place + at * bytes, items[at]);
}

function read(struct, bytes, at) {
  const memory = new DataView(bytes.buffer, bytes.byteOffset + at, structs[struct].size);
  const found = {};
  for (const [name, [type, offset, length]] of Object.entries(structs[struct].fields)) {
    if (length > 0) found[name] = readList(type, memory, offset, length);
    else if (type in structs) found[name] = read(type, bytes, at + offset);
    else if (type in numbers) found[name] = numbers[type][1](memory, offset);
    else found[name] = fromAddress(type, memory.getBigUint64(offset, true));
  }
  return found;
}

function readList(type, memory, offset, length) {
  const start = memory.byteOffset + offset;
  if (type !== "char") return new lists[type](memory.buffer.slice(start, start + length * numbers[type][0]));
  const characters = Buffer.from(memory.buffer, start, length);
  return characters.toString("utf8", 0, Math.max(0, characters.indexOf(0)));
}

function fromAddress(type, value) {
  if (value === 0n) return null;
  return type === "text" ? koffi.decode.string(value) : value;
}

/** Memory for `count` structs. Those that begin with a size have it. */
export function allocate(struct, count = 1) {
  const bytes = new Uint8Array(structs[struct].size * count);
  const memory = new DataView(bytes.buffer);
  for (let at = 0; at < count; at++) write(struct, at * structs[struct].size, memory, {}, []);
  return bytes;
}

/** The struct that a call has written into this memory. */
export const decode = (struct, bytes, index = 0) => read(struct, bytes, index * structs[struct].size);

/** What koffi gets for an argument. */
function argument(type, name, value, kept) {
  if (type in numbers) return number(type, name, value);
  if (type in structs) {
    const memory = new DataView(new ArrayBuffer(structs[type].size));
    write(type, 0, memory, value, kept);
    return read(type, new Uint8Array(memory.buffer), 0);
  }
  if (!type.startsWith("in ")) return address(type, name, value, kept);
  if (value === null || value === undefined) return 0n;
  const struct = type.slice(3);
  const items = Array.isArray(value) ? value : [value];
  const bytes = new Uint8Array(structs[struct].size * items.length);
  const memory = new DataView(bytes.buffer);
  items.forEach((item, at) => write(struct, at * structs[struct].size, memory, item, kept));
  return address("memory", name, bytes, kept);
}

/** Memory for an output, and how it is read. */
function output(type) {
  const bytes = type in structs ? allocate(type) : new Uint8Array(8);
  const value = () => {
    if (type in structs) return read(type, bytes, 0);
    const memory = new DataView(bytes.buffer);
    return type in numbers ? numbers[type][1](memory, 0) : fromAddress(type, memory.getBigUint64(0, true));
  };
  return { bytes, value };
}

/** The library that the process has loaded already: a second copy would not know its handles. */
function loaded() {
  const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
  const paths = maps.map((line) => line.slice(line.indexOf("/")));
  return paths.find((path) => path.includes("/libtenure.so.") && existsSync(path));
}

/** The library of the package for this platform, or the one that the loader finds. */
function load() {
  const given = process.env.TENURE_LIBRARY ?? loaded();
  if (given) return koffi.load(given);
  for (const system of [`linux-${process.arch}`, `linux-${process.arch}-musl`]) {
    try {
      return koffi.load(createRequire(import.meta.url).resolve(`tenure-${system}/libtenure.so.0`));
    } catch {
      // That package is not installed, or for another C library.
    }
  }
  return koffi.load("libtenure.so.0");
}

const library = load();
// The one struct that C takes by value.
koffi.struct("tn_device", { type: "uint32_t", id: "int32_t" });
const lastError = library.func("tn_last_error", "str", []);

function bind(name, [returns, parameters]) {
  const described = Object.entries(parameters);
  const plain = (type) => (type === "ptrdiff_t" ? "int64_t" : type in numbers || type in structs ? type : "uintptr_t");
  const isStatus = returns === "status";
  const result = { status: "uint32_t", text: "str", void: "void" }[returns] ?? plain(returns);
  const call = library.func(name, result, described.map(([, type]) => plain(type)));
  const mostGiven = described.filter(([, type]) => !type.startsWith("out ")).length;
  return (...given) => {
    if (given.length > mostGiven) throw new TypeError(`${name} takes ${mostGiven} arguments`);
    const kept = [];
    const outputs = [];
    let next = 0;
    const values = described.map(([parameter, type]) => {
      if (!type.startsWith("out ")) return argument(type, `${name}: ${parameter}`, given[next++], kept);
      const made = output(type.slice(4));
      outputs.push([parameter, made]);
      return address("memory", parameter, made.bytes, kept);
    });
    const returned = call(...values);
    kept.length = 0; // until here, memory whose address was passed is in use
    if (!isStatus) return result === "uintptr_t" ? fromAddress("pointer", BigInt(returned)) : returned;
    if (returned !== TN_OK) throw new TenureError(returned, lastError());
    if (outputs.length < 2) return outputs[0]?.[1].value();
    return Object.fromEntries(outputs.map(([parameter, made]) => [parameter, made.value()]));
  };
}

export const c = Object.fromEntries(Object.entries(functions).map(([name, described]) => [name, bind(name, described)]));
