package tenure;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongFunction;

/**
 * The owner of one handle. {@code close} ends the handle, or else the garbage collector does so at some later time. The library refuses a
 * handle that has ended. Any thread may use and close it.
 */
public abstract class TenureHandle implements AutoCloseable {
    private static final Cleaner CLEANER = Cleaner.create();

    /** The function that ends a handle. Returns a status. */
    interface End {
        int end(long handle);
    }

    /** What outlives the object, to release what it has forgotten. A handle that cannot be released stays in the list of leaks. */
    private record State(long handle, End end, AtomicBoolean isOwned) implements Runnable {
        @Override
        public void run() {
            if (isOwned.getAndSet(false)) {
                end.end(handle);
            }
        }
    }

    private final State state;

    /** Releases the handle when nothing refers to {@code watched}; null stands for this object. */
    TenureHandle(long handle, End end, boolean isOwned, Object watched) {
        state = new State(handle, end, new AtomicBoolean(isOwned));
        CLEANER.register(watched == null ? this : watched, state);
    }

    /** C's id. Who copies it does not own it. */
    public final long handle() {
        return state.handle;
    }

    /** Makes a call with the handle. The object stays alive until it returns. */
    final void call(LongToStatus function) {
        try {
            TenureException.check(function.apply(state.handle));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    interface LongToStatus {
        int apply(long handle);
    }

    /** Makes a call that gives a handle, and the object for that. */
    final <T> T make(Maker function, LongFunction<T> object) {
        long[] out = new long[1];
        call(handle -> function.apply(handle, out));
        return object.apply(out[0]);
    }

    interface Maker {
        int apply(long handle, long[] out);
    }

    final boolean isOwned() {
        return state.isOwned.get();
    }

    final void setOwned(boolean isOwned) {
        state.isOwned.set(isOwned);
    }

    /** Ends the handle, if this object still owns it. */
    @Override
    public void close() {
        if (state.isOwned.compareAndSet(true, false)) {
            int status = state.end.end(state.handle);
            if (status != TenureC.TN_OK) {
                TenureException error = new TenureException(status, TenureC.tn_last_error());
                state.isOwned.set(true);
                throw error;
            }
        }
        Reference.reachabilityFence(this);
    }
}
