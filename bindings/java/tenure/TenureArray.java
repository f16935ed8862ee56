package tenure;

import com.sun.jna.Memory;
import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** An array: one handle, a claim on some bytes with a layout. */
public final class TenureArray extends TenureHandle {
    /** Takes over a handle that other code gives. */
    public TenureArray(long handle) {
        this(handle, true);
    }

    /** With {@code isOwned} false the handle is only used. */
    TenureArray(long handle, boolean isOwned) {
        super(handle, TenureC::tn_array_release, isOwned, null);
    }

    /** How an array is made: of type F64, in C's order, from the pool of this thread, unless this says otherwise. */
    public static final class Options {
        private final TenureC.tn_array_options options = new TenureC.tn_array_options();
        private int dtype = TenureC.TN_F64;
        private TenurePool pool;

        public Options dtype(int value) {
            dtype = value;
            return this;
        }

        public Options name(String value) {
            options.name = value;
            return this;
        }

        public Options order(int value) {
            options.order = value;
            return this;
        }

        public Options pool(TenurePool value) {
            pool = value;
            return this;
        }

        /** An array of zeros. */
        public TenureArray zeros(long... shape) {
            return make(TenureC::tn_array_zeros, shape);
        }

        /** An array with undefined contents. */
        public TenureArray empty(long... shape) {
            return make(TenureC::tn_array_empty, shape);
        }

        private interface Create {
            int apply(long pool, int dtype, int ndim, long[] shape, TenureC.tn_array_options options, long[] out);
        }

        private TenureArray make(Create create, long[] shape) {
            long[] out = new long[1];
            try {
                long from = pool == null ? 0 : pool.handle();
                TenureException.check(create.apply(from, dtype, shape.length, shape, options, out));
            } finally {
                Reference.reachabilityFence(pool);
            }
            return new TenureArray(out[0]);
        }
    }

    public static Options with() {
        return new Options();
    }

    /** An array of zeros of type F64. */
    public static TenureArray zeros(long... shape) {
        return with().zeros(shape);
    }

    /** An array with a copy of the values. */
    public static TenureArray of(double... values) {
        TenureArray made = with().empty(values.length);
        made.borrowWrite(guard -> guard.doubles().put(values));
        return made;
    }

    /** Direct buffers that arrays use. */
    private static final Map<Long, ByteBuffer> LENT = new ConcurrentHashMap<>();
    private static final AtomicLong LENT_COUNT = new AtomicLong();
    private static final TenureC.tn_release_callback RETURNED = context -> LENT.remove(Pointer.nativeValue(context));

    /** An array on the memory of a direct buffer, which lives as long as anything holds the array's bytes. */
    public static TenureArray wrap(ByteBuffer memory, int dtype, long... shape) {
        if (!memory.isDirect() || memory.isReadOnly()) {
            throw new IllegalArgumentException("wrap needs a direct buffer that can be written");
        }
        long bytes = TenureGuard.bytesOf(dtype);
        Memory lengths = new Memory(Math.max(1, shape.length) * 8L);
        Memory strides = new Memory(Math.max(1, shape.length) * 8L);
        for (int axis = shape.length - 1; axis >= 0; axis--) {
            lengths.setLong(axis * 8L, shape[axis]);
            strides.setLong(axis * 8L, bytes);
            bytes = Math.multiplyExact(bytes, shape[axis]);
        }
        if (bytes != memory.remaining()) {
            String text = "wrap: " + memory.remaining() + " bytes for the shape " + Arrays.toString(shape);
            throw new TenureException(TenureC.TN_ERR_SHAPE, text);
        }
        TenureC.tn_layout layout = new TenureC.tn_layout();
        layout.dtype = dtype;
        layout.ndim = shape.length;
        layout.shape = lengths;
        layout.strides = strides;
        long id = LENT_COUNT.incrementAndGet();
        long[] out = new long[1];
        int flags = TenureC.TN_REQUIRE_BORROW | TenureC.TN_MAY_OVERWRITE;
        LENT.put(id, memory);
        int status = TenureC.tn_array_import_host(
            Native.getDirectBufferPointer(memory).share(memory.position()), layout, flags, RETURNED, new Pointer(id), out, null);
        if (status != TenureC.TN_OK) {
            TenureException error = new TenureException(status, TenureC.tn_last_error());
            LENT.remove(id);
            throw error;
        }
        Reference.reachabilityFence(lengths);
        Reference.reachabilityFence(strides);
        return new TenureArray(out[0]);
    }

    /** The number of direct buffers that arrays use. */
    public static int lentCount() {
        return LENT.size();
    }

    /** All properties. */
    public TenureC.tn_array_info info() {
        TenureC.tn_array_info info = new TenureC.tn_array_info();
        call(handle -> TenureC.tn_array_query(handle, info));
        return info;
    }

    public long[] shape() {
        TenureC.tn_array_info info = info();
        return Arrays.copyOf(info.shape, info.ndim);
    }

    public int dtype() {
        return info().dtype;
    }

    public String name() {
        return Native.toString(info().name, "UTF-8");
    }

    public void setName(String name) {
        call(handle -> TenureC.tn_array_set_name(handle, name));
    }

    /** Whether nothing else holds the bytes. */
    public boolean isUnique() {
        int[] answer = new int[1];
        call(handle -> TenureC.tn_array_is_unique(handle, answer));
        return answer[0] != 0;
    }

    /** All that hold the bytes. */
    public List<TenureC.tn_holder> holders() {
        try {
            return Tenure.list((size, room, memory, count) ->
                TenureC.tn_array_holders(handle(), size, room, null, memory, count));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Another handle on the bytes. */
    public TenureArray another() {
        return make(TenureC::tn_array_clone, TenureArray::new);
    }

    /** An array with a copy of the bytes. */
    public TenureArray copy() {
        return make((handle, out) -> TenureC.tn_array_copy(handle, 0, 0, out), TenureArray::new);
    }

    /** A view. A part is start, stop and step of one axis, as in Python; null is the whole axis, TN_NONE an absent number. */
    public TenureArray slice(long[]... parts) {
        TenureC.tn_slice_spec[] specs = (TenureC.tn_slice_spec[]) new TenureC.tn_slice_spec().toArray(Math.max(1, parts.length));
        for (int axis = 0; axis < parts.length; axis++) {
            long[] part = parts[axis] == null ? new long[0] : parts[axis];
            specs[axis].start = part.length > 0 ? part[0] : TenureC.TN_NONE;
            specs[axis].stop = part.length > 1 ? part[1] : TenureC.TN_NONE;
            specs[axis].step = part.length > 2 ? part[2] : TenureC.TN_NONE;
            specs[axis].write();
        }
        Pointer list = specs[0].getPointer();
        return make((handle, out) -> TenureC.tn_array_slice(handle, parts.length, list, out), TenureArray::new);
    }

    /** A view of the elements with this index on one axis. */
    public TenureArray index(int axis, long index) {
        return make((handle, out) -> TenureC.tn_array_index(handle, axis, index, out), TenureArray::new);
    }

    public TenureArray transpose() {
        return make(TenureC::tn_array_transpose, TenureArray::new);
    }

    public TenureArray reshape(long... shape) {
        return make(
            (handle, out) -> TenureC.tn_array_reshape(handle, shape.length, shape, TenureC.TN_ORDER_C, out), TenureArray::new);
    }

    /** Overwrites every element of an array of type F64 or F32. */
    public void fill(double value, int mode) {
        Memory one = new Memory(8);
        switch (dtype()) {
            case TenureC.TN_F64 -> one.setDouble(0, value);
            case TenureC.TN_F32 -> one.setFloat(0, (float) value);
            default -> throw new TenureException(TenureC.TN_ERR_DTYPE, "fill: the array has another type of elements");
        }
        call(handle -> TenureC.tn_array_fill(handle, one, mode, 0));
    }

    public void fill(double value) {
        fill(value, TenureC.TN_WRITE_ALIASED);
    }

    /** Copies the elements into an array of that shape. */
    public void copyInto(TenureArray destination) {
        call(handle -> TenureC.tn_array_copy_into(handle, destination.handle(), TenureC.TN_WRITE_ALIASED, 0));
        Reference.reachabilityFence(destination);
    }

    /** A copy of the elements of an array of type F64, in C order. */
    public double[] toDoubles() {
        TenureC.tn_array_info info = info();
        if (info.dtype != TenureC.TN_F64) {
            throw new TenureException(TenureC.TN_ERR_DTYPE, "toDoubles: the array has another type of elements");
        }
        ByteBuffer bytes = ByteBuffer.allocateDirect(Math.toIntExact(info.count * 8)).order(ByteOrder.nativeOrder());
        Pointer memory = Native.getDirectBufferPointer(bytes);
        call(handle -> TenureC.tn_array_copy_to_host(handle, memory, null, 0));
        double[] values = new double[bytes.capacity() / 8];
        bytes.asDoubleBuffer().get(values);
        return values;
    }

    /** Opens a guard for reading, to be closed. */
    public TenureGuard read() {
        TenureC.tn_view_info view = new TenureC.tn_view_info();
        return make(
            (handle, out) -> TenureC.tn_array_borrow_read(handle, 0, 0, null, view, out), guard -> TenureGuard.of(guard, view, false));
    }

    /** Opens a guard for writing, to be closed, in one of the modes TN_WRITE_. */
    public TenureGuard write(int mode) {
        TenureC.tn_view_info view = new TenureC.tn_view_info();
        return make(
            (handle, out) -> TenureC.tn_array_borrow_write(handle, mode, 0, null, view, out), guard -> TenureGuard.of(guard, view, true));
    }

    public TenureGuard write() {
        return write(TenureC.TN_WRITE_ALIASED);
    }

    /** What is done inside of a guard for reading. */
    public interface Reader<R, X extends Exception> {
        R use(TenureGuard guard) throws X;
    }

    /** What is done inside of a guard for writing. */
    public interface Writer<X extends Exception> {
        void use(TenureGuard guard) throws X;
    }

    /** Opens a guard for one function. */
    public <R, X extends Exception> R borrowRead(Reader<R, X> body) throws X {
        try (TenureGuard guard = read()) {
            return body.use(guard);
        }
    }

    /** Opens a guard for one function. One that throws poisons what it wrote: reads are refused until it is overwritten. */
    public <X extends Exception> void borrowWrite(int mode, Writer<X> body) throws X {
        try (TenureGuard guard = write(mode)) {
            boolean isDone = false;
            try {
                body.use(guard);
                isDone = true;
            } finally {
                if (!isDone && guard.isOwned()) {
                    guard.fail();
                }
            }
        }
    }

    public <X extends Exception> void borrowWrite(Writer<X> body) throws X {
        borrowWrite(TenureC.TN_WRITE_ALIASED, body);
    }

    /** Moves the claim into a promise. The handle remains, to be closed. */
    public TenurePromise give() {
        return make((handle, out) -> TenureC.tn_array_give(handle, 1, out), TenurePromise::new);
    }

    /** Hands the handle to other code, which then owns it. */
    public long detach() {
        setOwned(false);
        return handle();
    }
}
