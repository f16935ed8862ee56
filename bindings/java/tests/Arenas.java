import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CountDownLatch;
import tenure.Tenure;
import tenure.TenureArena;
import tenure.TenureArray;
import tenure.TenureC;
import tenure.TenureException;

/** Guards as arenas of foreign memory, on JDK 22 and newer. */
public final class Arenas {
    private static final ValueLayout.OfDouble DOUBLE = ValueLayout.JAVA_DOUBLE;

    private interface Body {
        void run() throws Exception;
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError();
        }
    }

    private static void refused(int status, Body body) throws Exception {
        try {
            body.run();
        } catch (TenureException error) {
            check(error.status() == status);
            return;
        }
        throw new AssertionError("not refused");
    }

    private static void isClosed(Body body) throws Exception {
        try {
            body.run();
        } catch (IllegalStateException error) {
            return;
        }
        throw new AssertionError("not closed");
    }

    public static void main(String[] words) throws Exception {
        try (TenureArray a = TenureArray.zeros(2, 3)) {
            writes(a);
            reads(a);
            fails(a);
            threads(a);
            try (TenureArray turned = a.transpose()) {
                refused(TenureC.TN_ERR_LAYOUT, () -> TenureArena.read(turned));
            }
            try (TenureArena again = TenureArena.write(a)) {
                check(again.segment().byteSize() == 48);
            }
        }
        try (TenureArray none = TenureArray.zeros(0, 3); TenureArena arena = TenureArena.read(none)) {
            check(arena.segment().byteSize() == 0);
        }
        check(Tenure.leaks().isEmpty());
        System.out.println("all arenas passed");
    }

    private static void writes(TenureArray a) throws Exception {
        MemorySegment kept;
        MemorySegment other;
        TenureArena arena = TenureArena.write(a);
        try (arena) {
            MemorySegment elements = arena.segment();
            kept = elements.asSlice(8, 16);
            other = arena.allocate(8, 8);
            for (long i = 0; i < 6; i++) {
                elements.setAtIndex(DOUBLE, i, i);
            }
            kept.setAtIndex(DOUBLE, 0, 7);
            other.set(DOUBLE, 0, 1);
            check(arena.guard().shape()[1] == 3 && arena.guard().dtype() == TenureC.TN_F64);
            refused(TenureC.TN_ERR_BORROWED_WRITE, () -> a.read());
        }
        isClosed(() -> kept.getAtIndex(DOUBLE, 0));
        isClosed(() -> arena.segment().setAtIndex(DOUBLE, 0, 1));
        isClosed(() -> other.get(DOUBLE, 0));
        isClosed(arena::close);
        check(a.toDoubles()[1] == 7 && a.toDoubles()[5] == 5);
    }

    private static void reads(TenureArray a) throws Exception {
        try (TenureArena arena = TenureArena.read(a); TenureArena second = TenureArena.read(a)) {
            check(arena.segment().isReadOnly() && arena.segment().getAtIndex(DOUBLE, 1) == 7);
            check(second.segment().address() == arena.segment().address());
            try {
                arena.segment().setAtIndex(DOUBLE, 0, 1);
                throw new AssertionError("it was written");
            } catch (IllegalArgumentException | UnsupportedOperationException error) {
                check(a.toDoubles()[0] == 0);
            }
            refused(TenureC.TN_ERR_BORROWED, () -> TenureArena.write(a));
        }
    }

    private static void fails(TenureArray a) throws Exception {
        TenureArena arena = TenureArena.write(a);
        arena.fail();
        isClosed(() -> arena.segment().getAtIndex(DOUBLE, 0));
        refused(TenureC.TN_ERR_POISONED, () -> TenureArena.read(a));
        a.fill(1);
    }

    /** Another thread sees the end. */
    private static void threads(TenureArray a) throws Exception {
        TenureArena arena = TenureArena.write(a);
        CountDownLatch started = new CountDownLatch(1);
        boolean[] ended = {false};
        Thread thread = new Thread(() -> {
            try {
                while (true) {
                    arena.segment().setAtIndex(DOUBLE, 2, 4);
                    started.countDown();
                }
            } catch (IllegalStateException error) {
                ended[0] = true;
            }
        });
        thread.start();
        started.await();
        // While the thread is inside of an access, the arena cannot be closed.
        boolean isOpen = true;
        while (isOpen) {
            try {
                arena.close();
                isOpen = false;
            } catch (IllegalStateException error) {
                Thread.onSpinWait();
            }
        }
        thread.join();
        check(ended[0] && a.toDoubles()[2] == 4);
    }
}
