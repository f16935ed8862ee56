import static tenure.TenureC.*;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.ReadOnlyBufferException;
import java.util.Arrays;
import tenure.Tenure;
import tenure.TenureArray;
import tenure.TenureC;
import tenure.TenureException;
import tenure.TenureGuard;
import tenure.TenurePool;
import tenure.TenurePromise;
import tenure.TenureScope;

/** The binding's calls, each with what it returns. Ends with a status other than 0 if one differs. */
public final class Calls {
    private static int failures;

    public static void main(String[] arguments) throws Exception {
        versions();
        layouts();
        creation();
        elementTypes();
        complex();
        buffers();
        endedGuards();
        conflicts();
        poison();
        views();
        copies();
        emptyArrays();
        promises();
        released();
        scopes();
        pools();
        wrapped();
        errors();
        threads();
        collected();
        expect(Tenure.leaks().isEmpty(), "no leaks at the end");
        if (failures > 0) {
            System.exit(1);
        }
        System.out.println("all calls passed");
    }

    private static void expect(boolean holds, String what) {
        if (!holds) {
            failures++;
            System.err.println("FAILED: " + what);
        }
    }

    private interface Body {
        void run() throws Exception;
    }

    /** The call fails with this status and a message that has these words. */
    private static void refused(int status, String words, Body body) throws Exception {
        try {
            body.run();
            expect(false, "refused: " + words);
        } catch (TenureException error) {
            expect(error.status() == status, error.statusName() + " instead of " + tn_status_name(status));
            expect(error.getMessage().contains(words), error.getMessage() + " has: " + words);
        }
    }

    private static void throwsError(Class<? extends Exception> kind, Body body) {
        try {
            body.run();
            expect(false, kind + " is thrown");
        } catch (Exception error) {
            expect(kind.isInstance(error), error + " instead of " + kind);
        }
    }

    private static void versions() {
        expect(tn_version() == TN_VERSION, "version of the library and of the class");
        expect(tn_status_name(TN_ERR_STALE).equals("TN_ERR_STALE"), "name of a status");
    }

    /** Structs have the sizes that the description has; JNA computes them from the fields. */
    private static void layouts() {
        for (Class<?> known : TenureC.class.getDeclaredClasses()) {
            if (com.sun.jna.Structure.class.isAssignableFrom(known)) {
                try {
                    var one = (com.sun.jna.Structure) known.getDeclaredConstructor().newInstance();
                    var expected = known.getField("BYTES").getInt(null);
                    expect(one.size() == expected, known + " has " + one.size() + " bytes instead of " + expected);
                } catch (ReflectiveOperationException error) {
                    expect(false, error.toString());
                }
            }
        }
    }

    private static void creation() {
        try (TenureArray a = TenureArray.with().name("grün").zeros(2, 3)) {
            expect(Arrays.equals(a.shape(), new long[] {2, 3}), "shape");
            expect(a.dtype() == TN_F64, "dtype");
            expect(a.name().equals("grün"), "name");
            a.setName("renamed");
            expect(a.name().equals("renamed"), "setName");
            expect(a.info().strides[0] == 24 && a.info().strides[1] == 8, "C's order");
            expect(a.isUnique(), "isUnique of one handle");
            try (TenureArray b = a.another()) {
                expect(b.handle() != a.handle() && !a.isUnique(), "another handle");
                expect(a.holders().size() == 2, "holders");
            }
            expect(a.isUnique(), "close");
        }
        try (TenureArray f = TenureArray.with().dtype(TN_F32).order(TN_ORDER_F).empty(2, 3)) {
            expect(f.info().strides[0] == 4 && f.info().strides[1] == 8, "Fortran's order");
        }
    }

    private static void elementTypes() throws Exception {
        int[] integers = {TN_BOOL, TN_I8, TN_I16, TN_I32, TN_I64, TN_U8, TN_U16, TN_U32, TN_U64};
        long[] largest = {1, 127, 32767, Integer.MAX_VALUE, Long.MAX_VALUE, 255, 65535, 0xffff_ffffL, -1};
        for (int at = 0; at < integers.length; at++) {
            int dtype = integers[at];
            long most = largest[at];
            try (TenureArray a = TenureArray.with().dtype(dtype).zeros(3)) {
                a.borrowWrite(guard -> {
                    guard.setLong(most, 1);
                    expect(guard.getLong(1) == most && guard.getLong(0) == 0 && guard.getLong(2) == 0, "element of type " + dtype);
                    refused(TN_ERR_DTYPE, "getDouble", () -> guard.getDouble(0));
                    if (dtype != TN_I64 && dtype != TN_U64) {
                        throwsError(ArithmeticException.class, () -> guard.setLong(most + 1, 0));
                    }
                });
            }
        }
        for (int dtype : new int[] {TN_F32, TN_F64}) {
            try (TenureArray a = TenureArray.with().dtype(dtype).zeros(2)) {
                a.fill(0.5);
                a.borrowWrite(guard -> {
                    guard.setDouble(1.5, 0);
                    expect(guard.getDouble(0) == 1.5 && guard.getDouble(1) == 0.5, "element of type " + dtype);
                    refused(TN_ERR_DTYPE, "setLong", () -> guard.setLong(1, 0));
                });
            }
        }
    }

    private static void complex() {
        try (TenureArray a = TenureArray.with().dtype(TN_C128).zeros(2)) {
            a.borrowWrite(guard -> {
                expect(Arrays.equals(guard.shape(), new long[] {2, 2}), "a complex number is two real ones");
                guard.setDouble(-1, 1, 1);
                expect(guard.doubles().get(3) == -1, "the imaginary part of the second element");
            });
        }
    }

    private static void buffers() throws Exception {
        try (TenureArray a = TenureArray.of(1, 2, 3, 4)) {
            a.borrowWrite(guard -> {
                DoubleBuffer doubles = guard.doubles();
                expect(doubles.isDirect() && doubles.remaining() == 4, "a direct buffer of four elements");
                doubles.put(0, 10);
                expect(guard.getDouble(0) == 10, "a buffer is on the array's bytes");
                refused(TN_ERR_DTYPE, "floats", guard::floats);
            });
            double sum = a.borrowRead(guard -> {
                throwsError(ReadOnlyBufferException.class, () -> guard.doubles().put(0, 1));
                refused(TN_ERR_READONLY, "reading", () -> guard.setDouble(1, 0));
                double total = 0;
                for (DoubleBuffer rest = guard.doubles(); rest.hasRemaining(); ) {
                    total += rest.get();
                }
                return total;
            });
            expect(sum == 19, "a sum of elements");
        }
    }

    private static void endedGuards() throws Exception {
        try (TenureArray a = TenureArray.of(1, 2)) {
            TenureGuard[] kept = new TenureGuard[1];
            a.borrowWrite(guard -> kept[0] = guard);
            refused(TN_ERR_STALE, "ended", () -> kept[0].getDouble(0));
            refused(TN_ERR_STALE, "ended", () -> kept[0].setDouble(1, 0));
            refused(TN_ERR_STALE, "ended", () -> kept[0].doubles());
            refused(TN_ERR_STALE, "ended", () -> kept[0].fail());
            refused(TN_ERR_STALE, "ended already", () -> TenureException.check(tn_borrow_end(kept[0].handle(), 0, 0)));
            kept[0].close();
        }
    }

    private static void conflicts() throws Exception {
        try (TenureArray a = TenureArray.with().name("weights").zeros(4)) {
            a.borrowWrite(guard -> refused(TN_ERR_BORROWED_WRITE, "\"weights\" is borrowed for writing", a::read));
            try (TenureGuard first = a.read(); TenureGuard second = a.read()) {
                expect(first.getDouble(0) == second.getDouble(0), "two readers");
                refused(TN_ERR_BORROWED, "weights", a::write);
            }
            a.write().close();
        }
    }

    private static void poison() throws Exception {
        try (TenureArray a = TenureArray.zeros(2)) {
            throwsError(IllegalStateException.class, () -> a.borrowWrite(guard -> {
                throw new IllegalStateException("mine");
            }));
            refused(TN_ERR_POISONED, "", a::read);
            a.borrowWrite(TN_WRITE_DISCARD, guard -> guard.doubles().put(new double[] {1, 2}));
            expect(Arrays.equals(a.toDoubles(), new double[] {1, 2}), "overwritten");
            try (TenureGuard guard = a.write()) {
                guard.fail();
            }
            refused(TN_ERR_POISONED, "", a::toDoubles);
            a.fill(0);
        }
    }

    private static void views() throws Exception {
        double[] values = new double[12];
        Arrays.setAll(values, at -> at);
        try (TenureArray flat = TenureArray.of(values);
                TenureArray a = flat.reshape(3, 4);
                TenureArray part = a.slice(new long[] {TN_NONE, TN_NONE, -1}, new long[] {1, 4, 2});
                TenureArray turned = a.transpose();
                TenureArray row = a.index(0, 2)) {
            part.borrowWrite(guard -> {
                expect(Arrays.equals(guard.shape(), new long[] {3, 2}), "shape of a view");
                expect(guard.getDouble(0, 0) == 9 && guard.getDouble(2, 1) == 3, "elements of a view");
                refused(TN_ERR_LAYOUT, "contiguous", guard::doubles);
                refused(TN_ERR_RANGE, "axis 0", () -> guard.getDouble(3, 0));
                refused(TN_ERR_RANGE, "axis 1", () -> guard.getDouble(0, -1));
                refused(TN_ERR_COUNT, "2 axes", () -> guard.getDouble(0));
                guard.setDouble(-9, 0, 0);
            });
            expect(turned.borrowRead(guard -> guard.getDouble(1, 2)) == -9, "transpose");
            expect(Arrays.equals(row.toDoubles(), new double[] {8, -9, 10, 11}), "index");
            expect(row.borrowRead(guard -> guard.doubles().get(1)) == -9, "a buffer of a view");
            refused(TN_ERR_RANGE, "index 3", () -> a.index(0, 3));
            refused(TN_ERR_INVALID, "", () -> a.slice(new long[] {0, 2, 0}));
        }
    }

    private static void copies() throws Exception {
        try (TenureArray a = TenureArray.of(1, 2); TenureArray b = a.copy(); TenureArray c = a.another()) {
            a.fill(5);
            expect(Arrays.equals(b.toDoubles(), new double[] {1, 2}), "copy");
            a.copyInto(b);
            expect(Arrays.equals(b.toDoubles(), new double[] {5, 5}), "copyInto");
            refused(TN_ERR_SHARED, "", () -> c.fill(0, TN_WRITE_UNIQUE));
            c.fill(0, TN_WRITE_COW);
            expect(Arrays.equals(a.toDoubles(), new double[] {5, 5}), "copy on write");
        }
    }

    private static void emptyArrays() {
        try (TenureArray none = TenureArray.zeros(0, 3); TenureArray one = TenureArray.zeros()) {
            none.borrowWrite(guard -> expect(guard.doubles().capacity() == 0, "an array without elements"));
            expect(none.toDoubles().length == 0, "a copy of no elements");
            one.borrowWrite(guard -> guard.setDouble(4));
            expect(one.toDoubles()[0] == 4, "an array without axes");
        }
    }

    private static void promises() throws Exception {
        try (TenureArray a = TenureArray.zeros(3)) {
            try (TenurePromise first = a.give()) {
                refused(TN_ERR_GIVEN, "", a::read);
                first.cancel();
            }
            a.read().close();
            try (TenurePromise second = a.give(); TenureArray b = second.take()) {
                refused(TN_ERR_DESTRUCTED, "tn_array_query", a::shape);
                expect(b.isUnique(), "the taker is the only holder");
            }
        }
    }

    private static void released() throws Exception {
        TenureArray a = TenureArray.zeros(1);
        a.close();
        a.close();
        refused(TN_ERR_STALE, "was released already", a::shape);
        refused(TN_ERR_STALE, "was released already", () -> TenureException.check(tn_array_release(a.handle())));
        refused(TN_ERR_NULL, "array is NULL", () -> TenureException.check(tn_array_release(0)));
    }

    private static void scopes() {
        try (TenureArray lent = TenureArray.zeros(3); TenureArray given = TenureArray.zeros(5)) {
            try (TenurePromise promise = given.give(); TenureScope scope = TenureScope.enter(lent, promise)) {
                expect(scope.arrays().get(1).shape()[0] == 5, "a scope takes what was given");
                expect(!lent.isUnique(), "a scope has handles of its own");
                TenureArray kept = scope.arrays().get(1);
                scope.leave(kept);
                expect(lent.isUnique(), "a scope releases its handles");
                expect(kept.isUnique(), "except what it keeps");
                kept.close();
            }
        }
    }

    private static void pools() throws Exception {
        try (TenurePool pool = TenurePool.create("step", 1 << 24);
                TenureArray a = TenureArray.with().pool(pool).zeros(1000)) {
            expect(pool.stats().live_blocks == 1 && pool.stats().requested_bytes >= 8000, "statistics");
            refused(TN_ERR_POOL_LIMIT, "step", () -> TenureArray.with().pool(pool).zeros(1 << 24));
            pool.setCurrent();
            try (TenureArray b = TenureArray.zeros(10)) {
                expect(pool.stats().live_blocks == 2, "the current pool");
            }
            TenurePool.setDefault();
        }
    }

    private static void wrapped() throws Exception {
        ByteBuffer memory = ByteBuffer.allocateDirect(48).order(ByteOrder.nativeOrder());
        TenureArray a = TenureArray.wrap(memory, TN_F64, 2, 3);
        a.borrowWrite(guard -> guard.setDouble(5, 1, 2));
        expect(memory.getDouble(40) == 5, "wrap shares the bytes");
        expect(TenureArray.lentCount() == 1, "memory of Java is in use");
        try (TenureArray row = a.index(0, 1)) {
            a.close();
            expect(TenureArray.lentCount() == 1, "a view uses it too");
            expect(row.borrowRead(guard -> guard.getDouble(2)) == 5, "a view of memory of Java");
        }
        expect(TenureArray.lentCount() == 0, "memory of Java is returned");
        refused(TN_ERR_SHAPE, "48 bytes", () -> TenureArray.wrap(memory, TN_F64, 2));
        throwsError(IllegalArgumentException.class, () -> TenureArray.wrap(ByteBuffer.allocate(8), TN_F64, 1));
        refused(TN_ERR_DTYPE, "", () -> TenureArray.wrap(memory, 0x3000, 8));
        expect(TenureArray.lentCount() == 0, "memory that was refused is not kept");
    }

    private static void errors() throws Exception {
        refused(TN_ERR_SHAPE, "-1", () -> TenureArray.zeros(-1));
        refused(TN_ERR_KIND, "no handle", () -> TenureException.check(tn_array_release(7)));
        refused(TN_ERR_OVERFLOW, "borrow slices", () -> {
            // As long as nothing is written, the system gives no memory for it.
            try (TenureArray large = TenureArray.with().dtype(TN_U8).zeros(1L << 31)) {
                large.read();
            }
        });
        byte[] text = new byte[64];
        long[] length = new long[1];
        TenureException.check(tn_option_get("strict", text.length, text, length));
        expect(length[0] == 1 && text[0] == '0', "text that C writes");
    }

    private static void threads() throws Exception {
        try (TenureArray a = TenureArray.zeros(3); TenurePromise promise = a.give()) {
            TenureArray[] taken = new TenureArray[1];
            Thread other = new Thread(() -> {
                taken[0] = promise.take();
                taken[0].fill(8);
            });
            other.start();
            other.join();
            refused(TN_ERR_DESTRUCTED, "", a::shape);
            expect(Arrays.equals(taken[0].toDoubles(), new double[] {8, 8, 8}), "an array of another thread");
            taken[0].close();
        }
    }

    private static void forget() {
        TenureArray a = TenureArray.zeros(3);
        a.another().give();
        a.read();
        TenurePool.create("left", 1 << 20);
        TenureScope.enter(a);
        TenureArray.wrap(ByteBuffer.allocateDirect(8), TN_F64, 1);
    }

    private static void collectTo(int count) throws InterruptedException {
        for (int turn = 0; turn < 400 && Tenure.leaks().size() > count; turn++) {
            System.gc();
            Thread.sleep(5);
        }
    }

    private static void collected() throws Exception {
        expect(Tenure.leaks().isEmpty(), "no leaks so far");
        forget();
        expect(Tenure.leaks().size() >= 7, "objects that were not closed");
        collectTo(0);
        expect(Tenure.leaks().isEmpty() && TenureArray.lentCount() == 0, "objects that nothing refers to are released");

        try (TenureArray a = TenureArray.zeros(3)) {
            DoubleBuffer part = a.write().doubles().slice();
            for (int turn = 0; turn < 5; turn++) {
                System.gc();
                Thread.sleep(5);
            }
            refused(TN_ERR_BORROWED_WRITE, "", a::read);
            part.put(0, 1);
            part = null;
            collectTo(1);
            expect(a.toDoubles()[0] == 1, "a buffer keeps its guard open");
        }
    }
}
