// The binding's calls, each with what it returns.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import v8 from "node:v8";
import vm from "node:vm";
import koffi from "koffi";
import { Worker } from "node:worker_threads";
import * as tenure from "tenure";
import { c, guardCopies, leaks, TenureArray, TenureError, TenurePool, TenurePromise, TenureScope } from "tenure";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc");

/** Collects garbage and lets finalisers run, so many times or until it is enough. */
async function turns(most, isEnough = () => false) {
  for (let turn = 0; turn < most && !isEnough(); turn++) {
    collect();
    await new Promise((done) => setTimeout(done, 5));
  }
}

async function collected(count) {
  await turns(400, () => leaks().length <= count);
  assert.equal(leaks().length, count);
}

const refused = (code, body, text = /./) =>
  assert.throws(body, (error) => {
    assert(error instanceof TenureError, `${error}`);
    assert.equal(error.code, code);
    assert.equal(error.status, tenure[code]);
    assert.match(error.message, text);
    return true;
  });
const released = (...objects) => objects.forEach((one) => one.release());

after(() => assert.deepEqual(leaks(), []));

test("version of the library and of the module", () => {
  assert.equal(c.tn_version(), tenure.TN_VERSION);
  assert.equal(c.tn_status_name(tenure.TN_ERR_STALE), "TN_ERR_STALE");
});

test("creation, properties, clone and release", () => {
  const a = TenureArray.zeros([2, 3], { name: "grün" });
  assert.deepEqual(a.shape, [2, 3]);
  assert.equal(a.dtype, tenure.TN_F64);
  assert.equal(a.name, "grün");
  a.name = "renamed";
  assert.equal(a.name, "renamed");
  assert.deepEqual(Array.from(a.info.strides.subarray(0, 2)), [24n, 8n]);
  assert.equal(a.isUnique, true);
  const b = a.clone();
  assert.notEqual(b.handle, a.handle);
  assert.equal(a.isUnique, false);
  assert.equal(a.holders.length, 2);
  b.release();
  assert.equal(a.isUnique, true);
  const f = TenureArray.empty([2, 3], { order: tenure.TN_ORDER_F, dtype: tenure.TN_F32 });
  assert.deepEqual(Array.from(f.info.strides.subarray(0, 2)), [4n, 8n]);
  released(a, f);
});

test("every element type is a typed array on the bytes", () => {
  const types = {
    TN_BOOL: Uint8Array, TN_I8: Int8Array, TN_I16: Int16Array, TN_I32: Int32Array, TN_I64: BigInt64Array,
    TN_U8: Uint8Array, TN_U16: Uint16Array, TN_U32: Uint32Array, TN_U64: BigUint64Array,
    TN_F16: globalThis.Float16Array ?? Uint16Array, TN_BF16: Uint16Array, TN_F32: Float32Array, TN_F64: Float64Array,
  };
  for (const [name, Elements] of Object.entries(types)) {
    const a = TenureArray.zeros([3], { dtype: tenure[name] });
    const one = Elements === BigInt64Array || Elements === BigUint64Array ? 1n : 1;
    a.borrowWrite((guard) => {
      assert.equal(guard.elements.constructor, Elements, name);
      guard.elements[1] = one;
    });
    assert.deepEqual(a.toTypedArray(), Elements.of(one - one, one, one - one), name);
    a.fill(one);
    assert.deepEqual(a.borrowRead((guard) => guard.at(2)), one, name);
    a.release();
  }
});

test("a complex number is two real ones on a last axis", () => {
  const a = TenureArray.zeros([2], { dtype: tenure.TN_C128 });
  a.borrowWrite((guard) => {
    assert.deepEqual(guard.shape, [2, 2]);
    guard.set(-1, 1, 1);
  });
  a.slice([1]).borrowRead((guard) => assert.equal(guard.at(0, 1), -1));
  a.fill([1, 2]);
  assert.deepEqual(a.toTypedArray(), Float64Array.of(1, 2, 1, 2));
  a.release();
});

test("values of JavaScript are copied in", () => {
  const a = TenureArray.from([1, 2, 3, 4], { shape: [2, 2] });
  assert.deepEqual(a.toTypedArray(), Float64Array.of(1, 2, 3, 4));
  const b = TenureArray.from(Int32Array.of(1, 2));
  assert.equal(b.dtype, tenure.TN_I32);
  refused("TN_ERR_SHAPE", () => TenureArray.from([1, 2], { shape: [3] }), /2 values/);
  refused("TN_ERR_DTYPE", () => TenureArray.from(Int32Array.of(1), { dtype: tenure.TN_F32 }), /Float32Array/);
  released(a, b);
});

test("the end of a guard detaches every view of its buffer", () => {
  const a = TenureArray.zeros([4]);
  let elements, part, guard;
  a.borrowWrite((open) => {
    guard = open;
    elements = open.elements;
    part = elements.subarray(1, 3);
    part[0] = 5;
  });
  assert.equal(elements.length, 0);
  assert.equal(elements[1], undefined);
  elements[0] = 7;
  assert.equal(part.length, 0);
  assert.throws(() => new DataView(elements.buffer), TypeError);
  refused("TN_ERR_STALE", () => guard.at(0), /ended/);
  refused("TN_ERR_STALE", () => guard.elements, /ended/);
  refused("TN_ERR_STALE", () => guard.end(), /ended/);
  assert.deepEqual(a.toTypedArray(), Float64Array.of(0, 5, 0, 0));
  a.release();
});

test("a reader beside a writer is refused, with the library's text", () => {
  const a = TenureArray.zeros([4], { name: "weights" });
  a.borrowWrite(() => refused("TN_ERR_BORROWED_WRITE", () => a.read(), /"weights" is borrowed for writing/));
  const readers = [a.read(), a.read()];
  refused("TN_ERR_BORROWED", () => a.write(), /weights/);
  refused("TN_ERR_READONLY", () => readers[0].set(1, 0));
  readers.forEach((guard) => guard[Symbol.dispose]());
  a.write().end();
  a.release();
});

test("a body that fails poisons what it wrote", async () => {
  const a = TenureArray.zeros([2]);
  assert.throws(() => a.borrowWrite(() => { throw new Error("mine"); }), /mine/);
  refused("TN_ERR_POISONED", () => a.read());
  a.borrowWrite((guard) => guard.elements.fill(1), tenure.TN_WRITE_DISCARD);
  await assert.rejects(a.borrowWrite(async () => { throw new Error("later"); }), /later/);
  refused("TN_ERR_POISONED", () => a.read());
  a.fill(2);
  const seen = a.borrowRead(async (guard) => {
    await null;
    refused("TN_ERR_BORROWED", () => a.write());
    return guard.at(1);
  });
  assert.equal(await seen, 2);
  a.write().end();
  a.release();
});

test("views share the bytes, at any strides", () => {
  const a = TenureArray.from(Float64Array.from({ length: 12 }, (_, at) => at), { shape: [3, 4] });
  const part = a.slice([null, null, -1], [1, 4, 2]);
  assert.deepEqual(part.shape, [3, 2]);
  part.borrowWrite((guard) => {
    assert.equal(guard.at(0, 0), 9);
    assert.equal(guard.at(2, 1), 3);
    refused("TN_ERR_LAYOUT", () => guard.elements, /contiguous/);
    refused("TN_ERR_RANGE", () => guard.at(3, 0), /axis 0/);
    refused("TN_ERR_RANGE", () => guard.at(0, -1), /axis 1/);
    refused("TN_ERR_COUNT", () => guard.at(0));
    guard.set(-9, 0, 0);
  });
  const turned = a.transpose();
  turned.borrowRead((guard) => assert.equal(guard.at(1, 2), -9));
  const row = a.index(0, 2);
  assert.deepEqual(row.toTypedArray(), Float64Array.of(8, -9, 10, 11));
  row.borrowRead((guard) => assert.equal(guard.elements.length, 4));
  const flat = a.reshape([12]);
  assert.equal(flat.borrowRead((guard) => guard.elements[9]), -9);
  refused("TN_ERR_RANGE", () => a.index(0, 3), /index 3/);
  refused("TN_ERR_INVALID", () => a.slice([0, 2, 0]));
  released(a, part, turned, row, flat);
});

test("copies have bytes of their own", () => {
  const a = TenureArray.from([1, 2]);
  const b = a.copy();
  a.fill(5);
  assert.deepEqual(b.toTypedArray(), Float64Array.of(1, 2));
  a.copyInto(b);
  assert.deepEqual(b.toTypedArray(), Float64Array.of(5, 5));
  const shared = a.clone();
  refused("TN_ERR_SHARED", () => shared.fill(0, tenure.TN_WRITE_UNIQUE));
  shared.fill(0, tenure.TN_WRITE_COW);
  assert.deepEqual(a.toTypedArray(), Float64Array.of(5, 5));
  released(a, b, shared);
});

test("arrays without elements and without axes", () => {
  const none = TenureArray.zeros([0, 3]);
  none.borrowWrite((guard) => assert.equal(guard.elements.length, 0));
  const one = TenureArray.zeros([]);
  one.borrowWrite((guard) => guard.set(4));
  assert.deepEqual(one.toTypedArray(), Float64Array.of(4));
  released(none, one);
});

test("give, cancel, take", () => {
  const a = TenureArray.zeros([3]);
  const first = a.give();
  refused("TN_ERR_GIVEN", () => a.read());
  first.cancel();
  first.release();
  a.read().end();
  const second = a.give();
  const b = second.take();
  refused("TN_ERR_DESTRUCTED", () => a.shape, /tn_array_query/);
  assert.equal(b.isUnique, true);
  released(second, a, b);
});

test("a released handle is refused by the library", () => {
  const a = TenureArray.zeros([1]);
  a.release();
  refused("TN_ERR_STALE", () => a.shape, /was released already/);
  refused("TN_ERR_STALE", () => a.release(), /was released already/);
  a[Symbol.dispose]();
  refused("TN_ERR_NULL", () => c.tn_array_release(null), /array is NULL/);
});

test("a scope releases its arrays, except those that it keeps", () => {
  const lent = TenureArray.zeros([3]);
  const given = TenureArray.zeros([5]);
  const promise = given.give();
  const scope = TenureScope.enter([lent, promise]);
  assert.deepEqual(scope.arrays.map((array) => array.shape), [[3], [5]]);
  assert.equal(lent.isUnique, false);
  const kept = scope.arrays[1];
  scope.leave([kept]);
  assert.equal(lent.isUnique, true);
  assert.equal(kept.isUnique, true);
  released(lent, given, promise, kept);
});

test("a pool, its limit and its statistics", () => {
  const pool = TenurePool.create({ name: "step", maxSize: 2 ** 24 });
  const a = TenureArray.zeros([1000], { pool });
  assert.equal(pool.stats.live_blocks, 1);
  assert(pool.stats.requested_bytes >= 8000);
  refused("TN_ERR_POOL_LIMIT", () => TenureArray.zeros([2 ** 24], { pool }), /step/);
  pool.setCurrent();
  const b = TenureArray.empty([10]);
  assert.equal(pool.stats.live_blocks, 2);
  TenurePool.setDefault();
  released(a, b, pool);
});

test("arguments that C cannot check are refused before the call", () => {
  assert.throws(() => TenureArray.zeros([2.5]), RangeError);
  assert.throws(() => TenureArray.zeros([2], { name: 5 }), /tn_array_options.name must be text/);
  assert.throws(() => TenureArray.zeros([2], { order: "C" }), /tn_array_options.order must be an integer/);
  assert.throws(() => TenureArray.zeros([2], { dtype: 2 ** 40 }), /no uint32_t/);
  assert.throws(() => TenurePool.create({ maxSise: 1 }), /no field max_sise/);
  assert.throws(() => c.tn_array_release("text"), /must be a handle/);
  assert.throws(() => c.tn_array_release(null, 1), /takes 1 arguments/);
  assert.throws(() => new TenureArray(5), /BigInt/);
  refused("TN_ERR_SHAPE", () => TenureArray.zeros([-1]), /-1/);
  refused("TN_ERR_KIND", () => new TenureArray(7n, false).shape, /no handle/);
});

test("text, lists and structs of the C interface", () => {
  const text = new Uint8Array(200);
  const length = c.tn_option_get("strict", text.length, text);
  assert.equal(Buffer.from(text).toString("latin1", 0, length), "0");
  const a = TenureArray.zeros([6]);
  const parts = new BigUint64Array(3);
  assert.equal(c.tn_array_split(a.handle, 0, 3, 3, parts), 3);
  const arrays = Array.from(parts, (handle) => new TenureArray(handle));
  assert.deepEqual(arrays.map((part) => part.shape), [[2], [2], [2]]);
  assert.equal(c.tn_device_count(tenure.TN_CPU), 1);
  const device = c.tn_device_query({ type: tenure.TN_CPU, id: 0 }, 0);
  assert(device.total_bytes > 0 && device.name.length > 0);
  assert.throws(() => c.tn_device_query({ type: "cpu" }, 0), /tn_device.type must be an integer/);
  released(a, ...arrays);
});

test("handles go to worker threads", async () => {
  const a = TenureArray.zeros([3], { name: "of main" });
  const promise = a.give();
  const source = `
    import { parentPort, workerData } from "node:worker_threads";
    import { TenureArray, TenurePromise } from "tenure";
    const promise = new TenurePromise(workerData);
    const array = promise.take();
    promise.release();
    array.borrowWrite((guard) => guard.elements.fill(8));
    parentPort.postMessage(array.detach());`;
  const address = new URL(`data:text/javascript,${encodeURIComponent(source.replace('"tenure"', `"${import.meta.resolve("tenure")}"`))}`);
  const worker = new Worker(address, { workerData: promise.detach() });
  const handle = await new Promise((done, failed) => worker.once("message", done).once("error", failed));
  const back = new TenureArray(handle);
  assert.equal(back.name, "of main");
  assert.deepEqual(back.toTypedArray(), Float64Array.of(8, 8, 8));
  refused("TN_ERR_DESTRUCTED", () => a.shape);
  released(a, back);
  await worker.terminate();
});

test("a runtime without views of other memory", () => {
  const a = TenureArray.from([1, 2, 3, 4]).reshape([2, 2]);
  const { view } = koffi;
  const before = guardCopies();
  // What koffi throws where N-API answers napi_no_external_buffers_allowed, as in Electron.
  koffi.view = () => {
    throw new Error("External buffers are not allowed");
  };
  try {
    // Nothing is copied that nobody asked for, and the refused guard has ended.
    for (const open of [() => a.read(), () => a.write(), () => a.borrowRead(() => 0)]) {
      refused("TN_ERR_UNSUPPORTED", open, /External buffers.*copy: true/);
    }
    assert.deepEqual(guardCopies(), before);
    const seen = a.borrowRead((guard) => [guard.isCopy, guard.at(1, 0), guard.elements.length], 0, { copy: true });
    assert.deepEqual(seen, [true, 3, 4]);
    assert.deepEqual(guardCopies(), { count: before.count + 1, bytes: before.bytes + 32 });
    // The other rules are those of a guard: a writer is alone, its end copies back and detaches.
    let kept;
    a.borrowWrite(
      (guard) => {
        kept = guard.elements;
        guard.set(9, 0, 1);
        refused("TN_ERR_BORROWED_WRITE", () => a.read(0, { copy: true }));
      },
      0,
      { copy: true },
    );
    assert.equal(kept.length, 0);
    assert.deepEqual(a.toTypedArray(), Float64Array.of(1, 9, 3, 4));
    assert.deepEqual(guardCopies(), { count: before.count + 3, bytes: before.bytes + 96 });
    // A writer that fails changes nothing, and poisons as any other.
    assert.throws(() => a.borrowWrite((guard) => {
      guard.elements.fill(0);
      throw new Error("stop");
    }, 0, { copy: true }), /stop/);
    refused("TN_ERR_POISONED", () => a.read(0, { copy: true }));
    assert.deepEqual(guardCopies().count, before.count + 4);
    a.fill(5);
    // Elements with others between them; in another order; none.
    const column = a.slice(null, [0, 1]);
    refused("TN_ERR_LAYOUT", () => column.read(0, { copy: true }), /between the elements/);
    const turned = a.transpose();
    turned.borrowWrite((guard) => guard.set(6, 0, 1), 0, { copy: true });
    assert.deepEqual(a.toTypedArray(), Float64Array.of(5, 5, 6, 5));
    const reversed = a.slice([null, null, -1]);
    assert.equal(reversed.borrowRead((guard) => guard.at(0, 0), 0, { copy: true }), 6);
    const none = TenureArray.zeros([0, 2]);
    none.borrowWrite((guard) => assert.equal(guard.elements.length, 0), 0, { copy: true });
    released(column, turned, reversed, none);
  } finally {
    koffi.view = view;
  }
  assert.equal(a.borrowRead((guard) => guard.isCopy), false);
  a.release();
});

test("objects that nothing refers to are released", async () => {
  await collected(0);
  (() => {
    const a = TenureArray.zeros([3]);
    a.clone().give();
    a.read();
    TenurePool.create({ name: "left" });
    const inner = TenureArray.zeros([1]);
    TenureScope.enter([inner]);
  })();
  assert(leaks().length >= 7);
  await collected(0);
});

test("a typed array keeps its guard open", async () => {
  const a = TenureArray.zeros([3]);
  await (async () => {
    const elements = a.write().elements;
    await turns(5);
    refused("TN_ERR_BORROWED_WRITE", () => a.read());
    elements[0] = 1;
    assert.deepEqual(elements, Float64Array.of(1, 0, 0));
  })();
  await collected(1);
  assert.deepEqual(a.toTypedArray(), Float64Array.of(1, 0, 0));
  a.release();
});
