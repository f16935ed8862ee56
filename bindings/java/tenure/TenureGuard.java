package tenure;

import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;

/**
 * An open guard: the right to read or write the elements of an array.
 *
 * <p>{@code get} and {@code set} check that the guard is open. The buffers lie on the array's bytes and are not checked: JDK 17 cannot
 * invalidate a buffer. Do not use one after the end of its guard. A buffer that is in use keeps the guard open, unless the guard is closed.
 */
public final class TenureGuard extends TenureHandle {
    private final ByteBuffer span;
    private final int first;
    private final int dtype;
    private final long[] shape;
    private final long[] strides;
    private final boolean writes;
    private volatile boolean isOpen = true;

    /** The bytes from the first to the last element, whatever lies between. */
    private record Span(ByteBuffer bytes, int first, int dtype, long[] shape, long[] strides) {
        static Span of(TenureC.tn_view_info view) {
            if (view.device.type == TenureC.TN_CUDA) {
                throw new TenureException(TenureC.TN_ERR_DEVICE, "borrow: the array is in memory of a GPU");
            }
            boolean isComplex = view.dtype == TenureC.TN_C64 || view.dtype == TenureC.TN_C128;
            int parts = isComplex ? 1 : 0;
            long[] shape = new long[view.ndim + parts];
            long[] strides = new long[view.ndim + parts];
            if (view.ndim > 0) {
                view.shape.read(0, shape, 0, view.ndim);
                view.strides.read(0, strides, 0, view.ndim);
            }
            int dtype = view.dtype;
            // Each complex number is two real ones, on a last axis.
            if (isComplex) {
                dtype = view.dtype == TenureC.TN_C64 ? TenureC.TN_F32 : TenureC.TN_F64;
                shape[view.ndim] = 2;
                strides[view.ndim] = bytesOf(dtype);
            }
            long below = 0;
            long above = bytesOf(dtype);
            for (int axis = 0; axis < shape.length; axis++) {
                if (shape[axis] == 0) {
                    return new Span(ByteBuffer.allocateDirect(0).order(ByteOrder.nativeOrder()), 0, dtype, shape, strides);
                }
                long reach = (shape[axis] - 1) * strides[axis];
                below -= Math.min(reach, 0);
                above += Math.max(reach, 0);
            }
            if (below + above > Integer.MAX_VALUE) {
                throw new TenureException(TenureC.TN_ERR_OVERFLOW, "borrow: a buffer has at most 2^31 - 1 bytes; borrow slices of the array");
            }
            ByteBuffer bytes = new Pointer(Pointer.nativeValue(view.data) - below).getByteBuffer(0, below + above);
            return new Span(bytes, (int) below, dtype, shape, strides);
        }
    }

    private TenureGuard(long handle, Span span, boolean writes) {
        // Every buffer on the bytes refers to the first one. So the collector ends a guard only when none of them is in use.
        super(handle, guard -> TenureC.tn_borrow_end(guard, 0, 0), true, span.bytes);
        this.span = span.bytes;
        first = span.first;
        dtype = span.dtype;
        shape = span.shape;
        strides = span.strides;
        this.writes = writes;
    }

    /** The guard of a call that has filled the view. */
    static TenureGuard of(long handle, TenureC.tn_view_info view, boolean writes) {
        try {
            return new TenureGuard(handle, Span.of(view), writes);
        } catch (RuntimeException error) {
            TenureC.tn_borrow_end(handle, 0, 0);
            throw error;
        }
    }

    /** The bytes of an element. */
    static int bytesOf(int dtype) {
        return (dtype >> 8 & 0xff) / 8;
    }

    /** The lengths of the axes. A complex number is two real ones, on a last axis. */
    public long[] shape() {
        return shape.clone();
    }

    /** The type of the elements, TN_F32 or TN_F64 for complex ones. */
    public int dtype() {
        return dtype;
    }

    private void checkOpen(String call) {
        if (!isOpen) {
            throw new TenureException(TenureC.TN_ERR_STALE, call + ": the guard has ended");
        }
    }

    private TenureException wrongType(String call) {
        return new TenureException(TenureC.TN_ERR_DTYPE, call + ": the array has another type of elements");
    }

    /** Where an element begins. */
    private int place(String call, long[] index) {
        checkOpen(call);
        if (index.length != shape.length) {
            String text = call + ": " + index.length + " indices for " + shape.length + " axes";
            throw new TenureException(TenureC.TN_ERR_COUNT, text);
        }
        long place = first;
        for (int axis = 0; axis < index.length; axis++) {
            if (index[axis] < 0 || index[axis] >= shape[axis]) {
                String text = call + ": index " + index[axis] + " is outside axis " + axis + " (length " + shape[axis] + ")";
                throw new TenureException(TenureC.TN_ERR_RANGE, text);
            }
            place += index[axis] * strides[axis];
        }
        return (int) place;
    }

    private int placeToWrite(String call, long[] index) {
        if (!writes) {
            throw new TenureException(TenureC.TN_ERR_READONLY, call + ": the guard is for reading");
        }
        return place(call, index);
    }

    /** An element of type F64 or F32. */
    public double getDouble(long... index) {
        int place = place("getDouble", index);
        return switch (dtype) {
            case TenureC.TN_F64 -> span.getDouble(place);
            case TenureC.TN_F32 -> span.getFloat(place);
            default -> throw wrongType("getDouble");
        };
    }

    /** Writes an element of type F64 or F32. */
    public void setDouble(double value, long... index) {
        int place = placeToWrite("setDouble", index);
        switch (dtype) {
            case TenureC.TN_F64 -> span.putDouble(place, value);
            case TenureC.TN_F32 -> span.putFloat(place, (float) value);
            default -> throw wrongType("setDouble");
        }
    }

    /** An element that is an integer or a BOOL. One of type U64 is its bits. */
    public long getLong(long... index) {
        int place = place("getLong", index);
        return switch (dtype) {
            case TenureC.TN_BOOL, TenureC.TN_U8 -> Byte.toUnsignedLong(span.get(place));
            case TenureC.TN_I8 -> span.get(place);
            case TenureC.TN_I16 -> span.getShort(place);
            case TenureC.TN_U16 -> Short.toUnsignedLong(span.getShort(place));
            case TenureC.TN_I32 -> span.getInt(place);
            case TenureC.TN_U32 -> Integer.toUnsignedLong(span.getInt(place));
            case TenureC.TN_I64, TenureC.TN_U64 -> span.getLong(place);
            default -> throw wrongType("getLong");
        };
    }

    /** Writes an element that is an integer or a BOOL. A value that it cannot have is an ArithmeticException. */
    public void setLong(long value, long... index) {
        int place = placeToWrite("setLong", index);
        switch (dtype) {
            case TenureC.TN_BOOL -> span.put(place, (byte) within(value, 0, 1));
            case TenureC.TN_U8 -> span.put(place, (byte) within(value, 0, 0xff));
            case TenureC.TN_I8 -> span.put(place, (byte) within(value, Byte.MIN_VALUE, Byte.MAX_VALUE));
            case TenureC.TN_I16 -> span.putShort(place, (short) within(value, Short.MIN_VALUE, Short.MAX_VALUE));
            case TenureC.TN_U16 -> span.putShort(place, (short) within(value, 0, 0xffff));
            case TenureC.TN_I32 -> span.putInt(place, Math.toIntExact(value));
            case TenureC.TN_U32 -> span.putInt(place, (int) within(value, 0, 0xffff_ffffL));
            case TenureC.TN_I64, TenureC.TN_U64 -> span.putLong(place, value);
            default -> throw wrongType("setLong");
        }
    }

    private static long within(long value, long least, long most) {
        if (value < least || value > most) {
            throw new ArithmeticException(value + " is not from " + least + " to " + most);
        }
        return value;
    }

    /** The bytes of an array in C order. Those of a guard for reading cannot be written. */
    public ByteBuffer bytes() {
        checkOpen("bytes");
        long expected = bytesOf(dtype);
        for (int axis = shape.length - 1; axis >= 0; axis--) {
            if (shape[axis] > 1 && strides[axis] != expected && span.capacity() > 0) {
                String text = "bytes: the array is not contiguous in C order; use get and set, or copy the array";
                throw new TenureException(TenureC.TN_ERR_LAYOUT, text);
            }
            expected *= shape[axis];
        }
        ByteBuffer bytes = writes ? span.duplicate() : span.asReadOnlyBuffer();
        return bytes.order(ByteOrder.nativeOrder());
    }

    private ByteBuffer bytesAs(String call, int... dtypes) {
        for (int one : dtypes) {
            if (one == dtype) {
                return bytes();
            }
        }
        throw wrongType(call);
    }

    /** The elements of an array of type F64 in C order. */
    public DoubleBuffer doubles() {
        return bytesAs("doubles", TenureC.TN_F64).asDoubleBuffer();
    }

    /** The elements of an array of type F32 in C order. */
    public FloatBuffer floats() {
        return bytesAs("floats", TenureC.TN_F32).asFloatBuffer();
    }

    /** The elements of an array of type I64 or U64 in C order. */
    public LongBuffer longs() {
        return bytesAs("longs", TenureC.TN_I64, TenureC.TN_U64).asLongBuffer();
    }

    /** The elements of an array of type I32 or U32 in C order. */
    public IntBuffer ints() {
        return bytesAs("ints", TenureC.TN_I32, TenureC.TN_U32).asIntBuffer();
    }

    /** The elements of an array of type I16 or U16 in C order, or the bits of F16 or BF16. */
    public ShortBuffer shorts() {
        return bytesAs("shorts", TenureC.TN_I16, TenureC.TN_U16, TenureC.TN_F16, TenureC.TN_BF16).asShortBuffer();
    }

    /** Ends the guard. */
    @Override
    public void close() {
        isOpen = false;
        super.close();
    }

    /** Ends the guard. What a writer wrote is undefined then, and reads are refused until it is overwritten. */
    public void fail() {
        checkOpen("fail");
        isOpen = false;
        call(handle -> TenureC.tn_borrow_end(handle, writes ? TenureC.TN_END_FAILED : 0, 0));
        setOwned(false);
    }
}
