package tenure;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * An open guard as an arena of Java's foreign memory: for JDK 22 and newer. {@code segment()} has the bytes of an array in C order until the
 * arena is closed. After that every access, also through a slice that other code kept, is an IllegalStateException.
 *
 * <p>Any thread may use and close it. While another thread is inside of an access, {@code close} is an IllegalStateException, and the guard
 * stays open.
 */
public final class TenureArena implements Arena {
    private final Arena arena = Arena.ofShared();
    private final TenureGuard guard;
    private final MemorySegment segment;

    private TenureArena(TenureGuard guard) {
        this.guard = guard;
        try {
            ByteBuffer bytes = guard.bytes();
            MemorySegment whole = MemorySegment.ofBuffer(bytes);
            // An array without elements has no bytes; every other one is outside of Java's heap.
            MemorySegment own = MemorySegment.ofAddress(whole.address()).reinterpret(whole.byteSize(), arena, null);
            segment = bytes.isReadOnly() ? own.asReadOnly() : own;
        } catch (RuntimeException error) {
            arena.close();
            guard.close();
            throw error;
        }
    }

    /** Opens a guard for reading. Its segment cannot be written. */
    public static TenureArena read(TenureArray array) {
        return new TenureArena(array.read());
    }

    /** Opens a guard for writing, in one of the modes TN_WRITE_. */
    public static TenureArena write(TenureArray array, int mode) {
        return new TenureArena(array.write(mode));
    }

    /** Opens a guard for writing. */
    public static TenureArena write(TenureArray array) {
        return write(array, TenureC.TN_WRITE_ALIASED);
    }

    /** The elements. */
    public MemorySegment segment() {
        return segment;
    }

    /** The guard, for its shape and its type of elements. */
    public TenureGuard guard() {
        return guard;
    }

    /** Other memory that lives as long as the arena. */
    @Override
    public MemorySegment allocate(long byteSize, long byteAlignment) {
        return arena.allocate(byteSize, byteAlignment);
    }

    @Override
    public MemorySegment.Scope scope() {
        return arena.scope();
    }

    /** Ends the accesses, and then the guard. */
    @Override
    public void close() {
        arena.close();
        guard.close();
    }

    /** Ends both. What a writer wrote is undefined then, and reads are refused until it is overwritten. */
    public void fail() {
        arena.close();
        guard.fail();
    }
}
