// Tenure for Node.js: arrays, guards, promises, scopes and pools.
//
// An object owns one handle. `release` ends it, and so does `using`, or the garbage collector at some later time. After that the library
// refuses the handle with its own message. A typed array on the elements exists only inside of a guard: the end of the guard detaches its
// buffer, so that every view of it has the length 0.

import v8 from "node:v8";
import vm from "node:vm";
import koffi from "koffi";
import { allocate, c, decode, TenureError } from "./library.js";
import * as C from "./tenure_c.js";

export * from "./tenure_c.js";
export { allocate, c, decode, TenureError };

/** Element types as typed arrays: type, and elements of it for each element. A 16-bit float is its bits where JavaScript has no type. */
const Half = globalThis.Float16Array ?? Uint16Array;
const elementTypes = new Map([
  [C.TN_BOOL, [Uint8Array, 1]],
  [C.TN_I8, [Int8Array, 1]],
  [C.TN_I16, [Int16Array, 1]],
  [C.TN_I32, [Int32Array, 1]],
  [C.TN_I64, [BigInt64Array, 1]],
  [C.TN_U8, [Uint8Array, 1]],
  [C.TN_U16, [Uint16Array, 1]],
  [C.TN_U32, [Uint32Array, 1]],
  [C.TN_U64, [BigUint64Array, 1]],
  [C.TN_F16, [Half, 1]],
  [C.TN_BF16, [Uint16Array, 1]],
  [C.TN_F32, [Float32Array, 1]],
  [C.TN_F64, [Float64Array, 1]],
  [C.TN_C64, [Float32Array, 2]],
  [C.TN_C128, [Float64Array, 2]],
]);

const dtypes = new Map([
  [Int8Array, C.TN_I8],
  [Int16Array, C.TN_I16],
  [Int32Array, C.TN_I32],
  [BigInt64Array, C.TN_I64],
  [Uint8Array, C.TN_U8],
  [Uint16Array, C.TN_U16],
  [Uint32Array, C.TN_U32],
  [BigUint64Array, C.TN_U64],
  [Half, Half === Uint16Array ? C.TN_U16 : C.TN_F16],
  [Float32Array, C.TN_F32],
  [Float64Array, C.TN_F64],
]);

/** Detaches a buffer. Node.js 20 has this standard function behind a flag, which new contexts follow. */
const transfer = ArrayBuffer.prototype.transfer ?? hiddenTransfer();

function hiddenTransfer() {
  v8.setFlagsFromString("--harmony-rab-gsab-transfer");
  const found = vm.runInNewContext("ArrayBuffer.prototype.transfer");
  v8.setFlagsFromString("--no-harmony-rab-gsab-transfer");
  if (found === undefined) throw new Error("tenure: this version of Node.js cannot detach buffers");
  return found;
}

const int64s = (values) => BigInt64Array.from(values, BigInt);
const handles = (objects) => BigUint64Array.from(objects, (one) => (typeof one === "bigint" ? one : one.handle));
const noHandles = (count) => new BigUint64Array(count);
const poolOf = (options) => options.pool?.handle ?? null;
const product = (lengths) => lengths.reduce((all, length) => all * length, 1);
const refuse = (status, message) => {
  throw new TenureError(status, message);
};

// A finaliser reports nothing: a handle that it could not release stays in the list of leaks.
const finalizers = new FinalizationRegistry(({ end, handle }) => {
  try {
    end(handle);
  } catch {}
});

/** One handle, and the function that ends it. */
class Owner {
  #handle;
  #end;
  #isOwned = false;

  constructor(handle, end, isOwned = true) {
    if (typeof handle !== "bigint") throw new TypeError("a handle must be a BigInt");
    this.#handle = handle;
    this.#end = end;
    this._own(isOwned);
  }

  /** @internal Whether this object releases its handle. */
  _own(isOwned) {
    if (isOwned && !this.#isOwned) finalizers.register(this, { end: this.#end, handle: this.#handle }, this);
    if (!isOwned) finalizers.unregister(this);
    this.#isOwned = isOwned;
  }

  get handle() {
    return this.#handle;
  }

  release() {
    this.#end(this.#handle);
    this._own(false);
  }

  [Symbol.dispose]() {
    if (this.#isOwned) this.release();
  }
}

const endGuard = (handle) => c.tn_borrow_end(handle, 0, null);
const leave = (handle) => c.tn_leave(handle, 0, null);

/** Lists what `query` writes, which is called with the size of an item, the room for items, and the memory for them. */
function list(struct, query) {
  let room = 16;
  for (;;) {
    const memory = allocate(struct, room);
    const found = query(memory.byteLength / room, room, memory);
    if (found <= room) return Array.from({ length: found }, (_, at) => decode(struct, memory, at));
    room = found;
  }
}

export class TenureArray extends Owner {
  constructor(handle, isOwned = true) {
    super(handle, c.tn_array_release, isOwned);
  }

  /** Hands the handle to other code, for example of another thread, which then owns it. */
  detach() {
    this._own(false);
    return this.handle;
  }

  static #make(create, shape, options) {
    const lengths = int64s(typeof shape === "number" ? [shape] : shape);
    const made = { order: options.order, name: options.name };
    return new TenureArray(create(poolOf(options), options.dtype ?? C.TN_F64, lengths.length, lengths, made));
  }

  static zeros(shape, options = {}) {
    return TenureArray.#make(c.tn_array_zeros, shape, options);
  }

  static empty(shape, options = {}) {
    return TenureArray.#make(c.tn_array_empty, shape, options);
  }

  static from(values, options = {}) {
    const data = ArrayBuffer.isView(values) ? values : Float64Array.from(values);
    const dtype = options.dtype ?? dtypes.get(data.constructor) ?? refuse(C.TN_ERR_DTYPE, "from: no element type has such values");
    const [Elements, parts] = elementTypes.get(dtype) ?? [];
    if (!(data instanceof Elements)) refuse(C.TN_ERR_DTYPE, `from: the element type needs a ${Elements.name}`);
    const shape = options.shape ?? [data.length / parts];
    if (product(shape) * parts !== data.length) refuse(C.TN_ERR_SHAPE, `from: ${data.length} values for the shape (${shape})`);
    const made = TenureArray.empty(shape, { ...options, dtype });
    c.tn_array_copy_from_host(made.handle, data, null, C.TN_WRITE_DISCARD, null);
    return made;
  }

  get info() {
    return c.tn_array_query(this.handle);
  }

  get shape() {
    const { ndim, shape } = this.info;
    return Array.from(shape.subarray(0, ndim), Number);
  }

  get dtype() {
    return this.info.dtype;
  }

  get name() {
    return this.info.name;
  }

  set name(text) {
    c.tn_array_set_name(this.handle, text);
  }

  get isUnique() {
    return c.tn_array_is_unique(this.handle) !== 0;
  }

  get holders() {
    return list("tn_holder", (size, room, memory) => c.tn_array_holders(this.handle, size, room, null, memory));
  }

  clone() {
    return new TenureArray(c.tn_array_clone(this.handle));
  }

  copy(options = {}) {
    return new TenureArray(c.tn_array_copy(this.handle, poolOf(options), null));
  }

  slice(...parts) {
    const specs = parts.map((part) => {
      const [start = C.TN_NONE, stop = C.TN_NONE, step = C.TN_NONE] = part ?? [];
      return { start: start ?? C.TN_NONE, stop: stop ?? C.TN_NONE, step: step ?? C.TN_NONE };
    });
    return new TenureArray(c.tn_array_slice(this.handle, specs.length, specs.length === 0 ? null : specs));
  }

  index(axis, index) {
    return new TenureArray(c.tn_array_index(this.handle, axis, index));
  }

  transpose() {
    return new TenureArray(c.tn_array_transpose(this.handle));
  }

  reshape(shape, order = C.TN_ORDER_C) {
    const lengths = int64s(shape);
    return new TenureArray(c.tn_array_reshape(this.handle, lengths.length, lengths, order));
  }

  fill(value, mode = C.TN_WRITE_ALIASED) {
    const [Elements, parts] = elementTypes.get(this.dtype);
    c.tn_array_fill(this.handle, Elements.from(parts === 1 ? [value] : value), mode, null);
  }

  copyInto(destination, mode = C.TN_WRITE_ALIASED) {
    c.tn_array_copy_into(this.handle, destination.handle, mode, null);
  }

  toTypedArray() {
    const { count, dtype } = this.info;
    const [Elements, parts] = elementTypes.get(dtype);
    const made = new Elements(Number(count) * parts);
    c.tn_array_copy_to_host(this.handle, made, null, null);
    return made;
  }

  read(flags = 0, { copy = false } = {}) {
    const view = allocate("tn_view_info");
    return new TenureGuard(c.tn_array_borrow_read(this.handle, flags, null, null, view), decode("tn_view_info", view), false, copy);
  }

  write(mode = C.TN_WRITE_ALIASED, { copy = false } = {}) {
    const view = allocate("tn_view_info");
    return new TenureGuard(c.tn_array_borrow_write(this.handle, mode, null, null, view), decode("tn_view_info", view), true, copy);
  }

  borrowRead(body, flags, options) {
    return during(this.read(flags, options), body);
  }

  borrowWrite(body, mode, options) {
    return during(this.write(mode, options), body);
  }

  give(required = 1) {
    return new TenurePromise(c.tn_array_give(this.handle, required));
  }
}

/** Ends the guard when the body has returned, or the promise that it returned is settled. A body that fails poisons what it wrote. */
function during(guard, body) {
  const failed = (error) => {
    guard.end({ failed: true });
    throw error;
  };
  const done = (value) => {
    guard.end();
    return value;
  };
  let value;
  try {
    value = body(guard);
  } catch (error) {
    failed(error);
  }
  return typeof value?.then === "function" ? value.then(done, failed) : done(value);
}

/** A view of the library's memory. Electron and other runtimes with a memory cage permit none (napi_no_external_buffers_allowed). */
function viewOf(address, bytes) {
  try {
    return koffi.view(address, bytes);
  } catch (error) {
    return refuse(
      C.TN_ERR_UNSUPPORTED,
      `borrow: this runtime permits no view of memory outside of its heap (${error.message}); pass { copy: true } for a guard on a copy`,
    );
  }
}

// Both have a size in bytes last, and return the address that they wrote to.
const system = koffi.load(null);
const copyIn = system.func("memcpy", "uintptr_t", ["void *", "uintptr_t", "size_t"]);
const copyOut = system.func("memcpy", "uintptr_t", ["uintptr_t", "void *", "size_t"]);

const copied = { count: 0, bytes: 0 };

/** The copies that guards with `{ copy: true }` made so far on this thread, into JavaScript's memory and back. */
export const guardCopies = () => ({ ...copied });

function tell(bytes) {
  copied.count += 1;
  copied.bytes += bytes;
}

// A buffer keeps its guard open: the collector ends a guard only when nothing can reach its elements.
const guardOf = new WeakMap();

export class TenureGuard extends Owner {
  #span;
  #first = 0;
  #strides;
  #isOpen = true;
  #writes;
  /** Where the elements of a copy come from; null: they are the array's own. */
  #origin = null;

  constructor(handle, view, writes, copy) {
    super(handle, endGuard);
    this.#writes = writes;
    try {
      this.#show(view, copy);
    } catch (error) {
      this.end();
      throw error;
    }
  }

  /** Makes a typed array on the bytes from the first to the last element, whatever lies between. */
  #show({ data, device, dtype, ndim, shape, strides }, copy) {
    if (device.type === C.TN_CUDA) refuse(C.TN_ERR_DEVICE, "borrow: the array is in memory of a GPU");
    const [Elements, parts] = elementTypes.get(dtype);
    const read = (list) => Array.from({ length: ndim }, (_, axis) => Number(koffi.decode.int64(list + 8n * BigInt(axis))));
    this.shape = read(shape);
    this.dtype = dtype;
    const bytes = read(strides);
    // Each complex number is two real ones, on a last axis.
    if (parts === 2) {
      this.shape.push(2);
      bytes.push(Elements.BYTES_PER_ELEMENT);
    }
    this.#strides = bytes.map((stride) => stride / Elements.BYTES_PER_ELEMENT);
    const isEmpty = this.shape.includes(0);
    const moves = this.shape.some((length, axis) => length > 1 && !Number.isInteger(this.#strides[axis]));
    if (moves && !isEmpty) refuse(C.TN_ERR_LAYOUT, "borrow: elements lie apart by a part of an element; copy the array");
    let length = isEmpty ? 0 : 1;
    if (!isEmpty) {
      this.shape.forEach((count, axis) => {
        const reach = count > 1 ? (count - 1) * this.#strides[axis] : 0;
        length += Math.abs(reach);
        if (reach < 0) this.#first -= reach;
      });
    }
    const size = Elements.BYTES_PER_ELEMENT;
    const start = isEmpty ? 0n : data - BigInt(this.#first * size);
    if (copy && !isEmpty && length !== this.shape.reduce((product, count) => product * count)) {
      refuse(C.TN_ERR_LAYOUT, "borrow: other bytes lie between the elements, and a guard on a copy would overwrite them; copy the array");
    }
    const buffer = isEmpty || copy ? new ArrayBuffer(length * size) : viewOf(start, length * size);
    this.#span = new Elements(buffer);
    this.isCopy = copy;
    if (copy && !isEmpty) {
      this.#origin = start;
      copyIn(this.#span, start, buffer.byteLength);
      tell(buffer.byteLength);
    }
    guardOf.set(buffer, this);
  }

  #open(call) {
    if (!this.#isOpen) refuse(C.TN_ERR_STALE, `${call}: the guard has ended`);
  }

  /** The elements as one typed array on the array's bytes, for an array in C order. */
  get elements() {
    this.#open("elements");
    let expected = 1;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      if (this.shape[axis] > 1 && this.#strides[axis] !== expected && this.#span.length > 0) {
        refuse(C.TN_ERR_LAYOUT, "elements: the array is not contiguous in C order; use at and set, or copy the array");
      }
      expected *= this.shape[axis];
    }
    return this.#span;
  }

  #place(call, index) {
    this.#open(call);
    if (index.length !== this.shape.length) {
      refuse(C.TN_ERR_COUNT, `${call}: ${index.length} indices for ${this.shape.length} axes`);
    }
    return index.reduce((place, at, axis) => {
      if (Number.isInteger(at) && at >= 0 && at < this.shape[axis]) return place + (this.shape[axis] > 1 ? at * this.#strides[axis] : 0);
      return refuse(C.TN_ERR_RANGE, `${call}: index ${at} is outside axis ${axis} (length ${this.shape[axis]})`);
    }, this.#first);
  }

  at(...index) {
    return this.#span[this.#place("at", index)];
  }

  set(value, ...index) {
    const place = this.#place("set", index);
    if (!this.#writes) refuse(C.TN_ERR_READONLY, "set: the guard is for reading");
    this.#span[place] = value;
  }

  end({ failed = false } = {}) {
    if (!this.#isOpen) refuse(C.TN_ERR_STALE, "end: the guard has ended");
    if (this.#origin !== null && this.#writes && !failed) {
      copyOut(this.#origin, this.#span, this.#span.byteLength);
      tell(this.#span.byteLength);
    }
    this.#origin = null;
    // Detached first: nothing can reach the bytes when others may write or free them.
    if (this.#span) transfer.call(this.#span.buffer, 0);
    c.tn_borrow_end(this.handle, failed && this.#writes ? C.TN_END_FAILED : 0, null);
    this.#isOpen = false;
    this._own(false);
  }

  release() {
    this.end();
  }
}

export class TenurePromise extends Owner {
  constructor(handle) {
    super(handle, c.tn_promise_release);
  }

  /** Hands the handle to other code, which then owns it. */
  detach() {
    this._own(false);
    return this.handle;
  }

  /** Takes the array. The promise is still to be released. */
  take() {
    const out = noHandles(1);
    c.tn_take(1, handles([this]), out);
    return new TenureArray(out[0]);
  }

  cancel() {
    c.tn_promise_cancel(this.handle);
  }
}

export class TenureScope extends Owner {
  /** Enters a scope with arrays, promises and handles of either. The scope owns its arrays. */
  static enter(params) {
    const out = noHandles(params.length);
    const scope = new TenureScope(c.tn_enter(params.length, handles(params), out), leave);
    scope.arrays = Array.from(out, (handle) => new TenureArray(handle, false));
    return scope;
  }

  /** Releases the arrays of the scope, except those to keep, which are the caller's then. */
  leave(keep = []) {
    c.tn_leave(this.handle, keep.length, handles(keep));
    this._own(false);
    for (const array of keep) array._own(true);
  }
}

export class TenurePool extends Owner {
  constructor(handle) {
    super(handle, c.tn_pool_release);
  }

  static create(options = {}) {
    const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const fields = Object.fromEntries(Object.entries(options).map(([name, value]) => [snake(name), value]));
    return new TenurePool(c.tn_pool_create({ type: C.TN_CPU, id: 0 }, fields));
  }

  /** Makes it the pool of this thread. */
  setCurrent() {
    c.tn_pool_set_current(this.handle);
  }

  static setDefault() {
    c.tn_pool_set_current(null);
  }

  get stats() {
    return c.tn_pool_query(this.handle);
  }
}

/** The objects that were made and not yet released. */
export const leaks = () => list("tn_holder", c.tn_leaks);
