// Takes an array that C gives, squares its elements in place, and hands it back.
import koffi from "koffi";
import { leaks, TenurePromise, TN_OK } from "tenure";

const program = koffi.load(process.argv[2]);
const give = program.func("uint32_t handover_give(_Out_ uintptr_t *out)");
const receive = program.func("uint32_t handover_receive(uintptr_t result)");

const out = new BigUint64Array(1);
if (give(out) !== TN_OK) throw new Error("handover_give failed");
const promise = new TenurePromise(out[0]);
const array = promise.take();
promise.release();
array.borrowWrite((guard) => guard.elements.forEach((x, at, all) => (all[at] = x * x)));
if (receive(array.detach()) !== TN_OK) throw new Error("handover_receive failed");
console.log(`${leaks().length} leaks`);
