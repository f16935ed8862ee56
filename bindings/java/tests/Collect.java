import static tenure.TenureC.*;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import tenure.Tenure;
import tenure.TenureArray;
import tenure.TenureException;
import tenure.TenureGuard;
import tenure.TenurePool;
import tenure.TenureScope;

/**
 * Arrays, guards, promises and scopes that nothing closes, under a collector that never rests. Threads make them in random order and drop
 * them. Every read finds the value that the array was filled with. At the end nothing is left, and the pool counted no misuse.
 *
 * <p>TENURE_STRESS_SEED (1) sets the draws, TENURE_TEST_ROUNDS (4000) the steps of each thread.
 */
public final class Collect {
    private static final int THREADS = 3;
    private static final int ELEMENTS = 100;
    /** Objects that a thread keeps. */
    private static final int KEPT = 48;
    /** What a call may find on an array that was given away or is borrowed; a buffer cannot show a view that runs backwards. */
    private static final List<Integer> IN_THE_WAY =
        List.of(TN_ERR_GIVEN, TN_ERR_DESTRUCTED, TN_ERR_BORROWED, TN_ERR_BORROWED_WRITE, TN_ERR_LAYOUT);

    private final TenurePool pool;
    private final Random random;
    private final Kept[] kept = new Kept[KEPT];

    /** An object, an array of the bytes that it holds, and the value of their elements. */
    private record Kept(Object object, TenureArray array, double value) {}

    private Collect(TenurePool pool, long seed) {
        this.pool = pool;
        random = new Random(seed);
    }

    public static void main(String[] arguments) throws Exception {
        long seed = number("TENURE_STRESS_SEED", 1);
        long rounds = number("TENURE_TEST_ROUNDS", 4000);
        System.out.println("TENURE_STRESS_SEED=" + seed);
        TenurePool pool = TenurePool.create("collected", 0);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        AtomicBoolean isOver = new AtomicBoolean();
        Thread collector = new Thread(() -> {
            while (!isOver.get()) {
                System.gc();
            }
        });
        collector.start();
        List<Thread> threads = new ArrayList<>();
        for (int at = 0; at < THREADS; at++) {
            Collect own = new Collect(pool, seed * THREADS + at);
            Thread thread = new Thread(() -> {
                for (long round = 0; round < rounds && failure.get() == null; round++) {
                    own.step();
                }
            });
            thread.setUncaughtExceptionHandler((which, error) -> failure.compareAndSet(null, error));
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        threads.clear();
        isOver.set(true);
        collector.join();
        if (failure.get() != null) {
            throw new AssertionError("a thread failed", failure.get());
        }
        for (int turn = 0; turn < 2000 && Tenure.leaks().size() > 1; turn++) {
            System.gc();
            Thread.sleep(5);
        }
        tn_pool_stats stats = pool.stats();
        expect(Tenure.leaks().size() == 1, Tenure.leaks().size() + " handles are left, not the pool alone");
        expect(stats.live_blocks == 0 && stats.misuse_count == 0, stats.live_blocks + " blocks, " + stats.misuse_count + " times misuse");
        expect(stats.allocation_count >= rounds, stats.allocation_count + " arrays were made");
        pool.close();
        expect(Tenure.leaks().isEmpty(), "nothing is left");
        System.out.println("all were collected");
    }

    private static long number(String name, long usual) {
        String text = System.getenv(name);
        return text == null ? usual : Long.parseLong(text);
    }

    private static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private void keep(Object object, TenureArray array, double value) {
        kept[random.nextInt(KEPT)] = new Kept(object, array, value);
    }

    private void step() {
        Kept one = kept[random.nextInt(KEPT)];
        if (one == null || random.nextInt(4) == 0) {
            TenureArray made = TenureArray.with().pool(pool).empty(ELEMENTS);
            double value = random.nextInt(1 << 20);
            made.fill(value);
            keep(made, made, value);
            return;
        }
        try {
            use(one);
        } catch (TenureException error) {
            if (!IN_THE_WAY.contains(error.status())) {
                throw error;
            }
        }
    }

    /** Makes another object of the one, or reads it, and seldom closes it. */
    private void use(Kept one) {
        TenureArray array = one.array;
        switch (random.nextInt(9)) {
            case 0 -> keep(array, array.another(), one.value);
            case 1 -> keep(null, array.slice(new long[] {TN_NONE, TN_NONE, -1}), one.value);
            case 2 -> keep(array.give(), array, one.value);
            case 3 -> {
                TenureArray taken = array.another().give().take();
                keep(taken, taken, one.value);
            }
            case 4 -> keep(array.read(), array, one.value);
            case 5 -> {
                TenureGuard guard = array.write();
                guard.setDouble(one.value, 0);
                // A buffer alone keeps its guard open.
                keep(random.nextBoolean() ? guard.doubles() : guard, array, one.value);
            }
            case 6 -> {
                TenureScope scope = TenureScope.enter(array);
                keep(scope, array, one.value);
                keep(null, scope.arrays().get(0).another(), one.value);
            }
            case 7 -> {
                array.close();
                for (int at = 0; at < KEPT; at++) {
                    kept[at] = kept[at] != null && kept[at].array == array ? null : kept[at];
                }
            }
            default -> {
                for (double found : array.toDoubles()) {
                    expect(found == one.value, found + " instead of " + one.value);
                }
            }
        }
    }
}
