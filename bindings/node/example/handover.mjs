// Takes an array that C gives, squares its elements in place, and gives it back.
import koffi from "koffi";
import { leaks, TenurePromise } from "tenure";

const library = koffi.load(process.argv[2]);
const give = library.func("void handover_give(_Out_ uintptr_t *out)");
const take = library.func("void handover_take(uintptr_t *given)");

const out = new BigUint64Array(1);
give(out);
const promise = new TenurePromise(out[0]);
const array = promise.take();
promise.detach(); // it is C's, which releases it
array.borrowWrite((guard) => guard.elements.forEach((x, at, all) => (all[at] = x * x)));

const given = array.give();
take(BigUint64Array.of(given.handle));
given.release();
array.release();
console.log(`${leaks().length} leaks`);
