import type { Functions, Handle, Integer, tn_array_info, tn_holder, tn_pool_stats } from "./tenure_c.js";

export * from "./tenure_c.js";

/** The C interface. Each function returns its outputs, and throws a TenureError unless the status is TN_OK. */
export const c: Functions;

/** Memory for `count` structs, to be filled by a call. Those that begin with a size have it. */
export function allocate(struct: string, count?: number): Uint8Array;
/** The struct that a call has written there. */
export function decode(struct: string, bytes: Uint8Array, index?: number): any;

/** A call that the library refused, with its message. */
export class TenureError extends Error {
  constructor(status: number, message: string);
  /** TN_ERR_STALE, for example. */
  readonly status: number;
  /** "TN_ERR_STALE", for example. */
  readonly code: string;
}

export type TypedArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

interface Owner extends Disposable {
  /** The id in C. Who copies it does not own it. */
  readonly handle: Handle;
  /** Ends the handle now. The library refuses it afterwards. */
  release(): void;
}

export interface CreateOptions {
  /** TN_F64 if absent. */
  dtype?: number;
  name?: string;
  /** TN_ORDER_C if absent. */
  order?: number;
  pool?: TenurePool;
}

/** An array: one handle, a claim on some bytes with a layout. */
export class TenureArray implements Owner {
  /** Takes over a handle that other code gives; `isOwned` false only uses it. */
  constructor(handle: Handle, isOwned?: boolean);
  static zeros(shape: number | Integer[], options?: CreateOptions): TenureArray;
  /** An array with undefined contents. */
  static empty(shape: number | Integer[], options?: CreateOptions): TenureArray;
  /** An array with a copy of the values. */
  static from(values: TypedArray | Iterable<number>, options?: CreateOptions & { shape?: number[] }): TenureArray;
  readonly handle: Handle;
  readonly info: tn_array_info;
  readonly shape: number[];
  readonly dtype: number;
  name: string;
  /** Whether nothing else holds the bytes. */
  readonly isUnique: boolean;
  /** All that hold the bytes. */
  readonly holders: tn_holder[];
  /** Another handle on the bytes. */
  clone(): TenureArray;
  copy(options?: { pool?: TenurePool }): TenureArray;
  /** A view. A part is [start, stop, step] of one axis, as in Python; null and absent ones are the whole axis. */
  slice(...parts: (readonly (Integer | null)[] | null)[]): TenureArray;
  /** A view of the elements with this index on one axis. */
  index(axis: number, index: Integer): TenureArray;
  transpose(): TenureArray;
  reshape(shape: Integer[], order?: number): TenureArray;
  /** Overwrites every element. A complex value is [re, im]. */
  fill(value: Integer | [number, number], mode?: number): void;
  copyInto(destination: TenureArray, mode?: number): void;
  /** A copy of the elements in C order, which JavaScript owns. */
  toTypedArray(): TypedArray;
  /** Opens a guard, to be ended. */
  read(flags?: number, options?: GuardOptions): TenureGuard<Readonly<TypedArray>>;
  write(mode?: number, options?: GuardOptions): TenureGuard<TypedArray>;
  /** Opens a guard for a function, or until the promise that it returns is settled. */
  borrowRead<R>(body: (guard: TenureGuard<Readonly<TypedArray>>) => R, flags?: number, options?: GuardOptions): R;
  /** A function that fails poisons what it wrote: reads are refused until it is overwritten. */
  borrowWrite<R>(body: (guard: TenureGuard<TypedArray>) => R, mode?: number, options?: GuardOptions): R;
  /** Moves the claim into a promise. The handle remains, to be released. */
  give(required?: number): TenurePromise;
  release(): void;
  /** Hands the handle to other code, which then owns it. */
  detach(): Handle;
  [Symbol.dispose](): void;
}

export interface GuardOptions {
  /**
   * The elements are a copy in JavaScript's memory, which the end of a writer that has not failed copies back. For runtimes that permit no
   * view of other memory, such as Electron. Elements with gaps between them are refused.
   */
  copy?: boolean;
}

/** An open guard: the right to read or write the elements. Its end detaches the buffer of `elements`. */
export class TenureGuard<Elements = TypedArray> implements Owner {
  private constructor();
  readonly handle: Handle;
  /** The lengths of the axes. A complex number is two real ones, on a last axis. */
  readonly shape: number[];
  readonly dtype: number;
  /** Whether the elements are a copy, because the caller asked for one. */
  readonly isCopy: boolean;
  /** The elements on the array's bytes, or of the copy, for an array in C order. */
  readonly elements: Elements;
  at(...index: number[]): number | bigint;
  set(value: number | bigint, ...index: number[]): void;
  /** With `failed`, what a writer wrote is undefined, and reads are refused until it is overwritten. */
  end(options?: { failed?: boolean }): void;
  release(): void;
  [Symbol.dispose](): void;
}

/** An array that was given and not yet taken. */
export class TenurePromise implements Owner {
  constructor(handle: Handle);
  readonly handle: Handle;
  /** Takes the array: the giver's handle is destructed. The promise is still to be released. */
  take(): TenureArray;
  /** Returns the claim to the giver. */
  cancel(): void;
  release(): void;
  detach(): Handle;
  [Symbol.dispose](): void;
}

/** A function's own handles on its array parameters. */
export class TenureScope implements Owner {
  private constructor();
  /** Makes an array for each array, promise, or handle of either. The scope owns them. */
  static enter(params: readonly (TenureArray | TenurePromise | Handle)[]): TenureScope;
  readonly handle: Handle;
  readonly arrays: TenureArray[];
  /** Releases the arrays of the scope, except those to keep, which are the caller's then. */
  leave(keep?: readonly TenureArray[]): void;
  release(): void;
  [Symbol.dispose](): void;
}

/** The fields of tn_pool_options. */
export interface PoolOptions {
  name?: string;
  initialSize?: Integer;
  maxGrowth?: Integer;
  maxSize?: Integer;
  growthFactor?: number;
  alignment?: Integer;
  threadCacheSize?: Integer;
  releaseThreshold?: Integer;
  releaseDelayMs?: Integer;
}

/** An allocator of memory of the host. */
export class TenurePool implements Owner {
  constructor(handle: Handle);
  static create(options?: PoolOptions): TenurePool;
  /** Makes the default pool that of this thread again. */
  static setDefault(): void;
  readonly handle: Handle;
  readonly stats: tn_pool_stats;
  /** Makes it the pool of this thread. */
  setCurrent(): void;
  release(): void;
  [Symbol.dispose](): void;
}

/** The copies that guards with `{ copy: true }` made so far on this thread, into JavaScript's memory and back. */
export function guardCopies(): { count: number; bytes: number };

/** The objects that were made and not yet released. */
export function leaks(): tn_holder[];
