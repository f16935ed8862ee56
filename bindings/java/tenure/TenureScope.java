package tenure;

import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** A function's own handles on its array parameters. {@code close} releases those that it has not kept. */
public final class TenureScope extends TenureHandle {
    private final List<TenureArray> arrays;

    private TenureScope(long handle, List<TenureArray> arrays) {
        super(handle, scope -> TenureC.tn_leave(scope, 0, null), true, null);
        this.arrays = arrays;
    }

    /** Makes an array for each array or promise. The scope owns them. */
    public static TenureScope enter(TenureHandle... params) {
        try {
            return enter(Arrays.stream(params).mapToLong(TenureHandle::handle).toArray());
        } finally {
            Reference.reachabilityFence(params);
        }
    }

    /** Makes an array for each handle of an array or a promise, which C may have passed. */
    public static TenureScope enter(long... params) {
        long[] out = new long[params.length];
        long[] scope = new long[1];
        TenureException.check(TenureC.tn_enter(params.length, params, out, scope));
        List<TenureArray> arrays = new ArrayList<>();
        for (long handle : out) {
            arrays.add(new TenureArray(handle, false));
        }
        return new TenureScope(scope[0], Collections.unmodifiableList(arrays));
    }

    public List<TenureArray> arrays() {
        return arrays;
    }

    /** Releases the arrays of the scope, except those to keep, which the caller closes. */
    public void leave(TenureArray... keep) {
        long[] kept = Arrays.stream(keep).mapToLong(TenureHandle::handle).toArray();
        call(handle -> TenureC.tn_leave(handle, kept.length, kept));
        setOwned(false);
        for (TenureArray array : keep) {
            array.setOwned(true);
        }
    }
}
