// What a program in TypeScript may write. Checked by the compiler only.
import { c, guardCopies, leaks, TenureArray, TenureError, TenurePool, TenurePromise, TenureScope, TN_CPU, TN_F32, TN_NONE } from "tenure";

export function program(given: bigint): number {
  using pool = TenurePool.create({ name: "step", maxSize: 2 ** 20 });
  using x = TenureArray.zeros([2, 3], { dtype: TN_F32, pool });
  x.borrowWrite((guard) => {
    guard.elements.fill(1 as never);
    guard.set(2, 0, 1);
  });
  const seen: number | bigint = x.borrowRead((guard) => guard.at(0, 1));
  const later: Promise<void> = x.borrowRead(async (guard) => void guard.elements[0]);
  x.borrowWrite((guard) => guard.isCopy && guard.set(1, 0, 0), undefined, { copy: true });
  const { bytes }: { bytes: number } = guardCopies();
  // @ts-expect-error: a copy is asked for by true.
  x.read(0, { copy: 1 });
  using promise: TenurePromise = x.give();
  using scope = TenureScope.enter([promise, given]);
  scope.leave([scope.arrays[0]!]);
  const part = x.slice([null, 1], null, [TN_NONE, 2, 1]);
  const made: bigint = c.tn_array_slice(x.handle, 1, [{ start: 0, stop: 1, step: 1 }]);
  const device: { free_bytes: number | bigint } = c.tn_device_query({ type: TN_CPU, id: 0 }, 0);
  // @ts-expect-error: an array has no such method.
  part.free();
  // @ts-expect-error: a handle is a BigInt.
  c.tn_array_release(5);
  // @ts-expect-error: a reader has elements that cannot be written.
  x.borrowRead((guard) => (guard.elements[0] = 1));
  void [seen, later, made, device, bytes];
  return leaks().length;
}

export const isStale = (error: unknown): boolean => error instanceof TenureError && error.code === "TN_ERR_STALE";
