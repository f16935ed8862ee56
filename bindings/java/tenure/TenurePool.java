package tenure;

/** An allocator of memory of the host. */
public final class TenurePool extends TenureHandle {
    /** Takes over a pool that other code gives. */
    public TenurePool(long handle) {
        super(handle, TenureC::tn_pool_release, true, null);
    }

    /** Makes a pool with these options, or with the default ones if null. */
    public static TenurePool create(TenureC.tn_pool_options options) {
        TenureC.tn_device.ByValue host = new TenureC.tn_device.ByValue();
        host.type = TenureC.TN_CPU;
        long[] out = new long[1];
        TenureException.check(TenureC.tn_pool_create(host, options, out));
        return new TenurePool(out[0]);
    }

    /** Makes a pool that takes at most so many bytes. */
    public static TenurePool create(String name, long maxBytes) {
        TenureC.tn_pool_options options = new TenureC.tn_pool_options();
        options.name = name;
        options.max_size = maxBytes;
        return create(options);
    }

    /** Makes it the pool of this thread. */
    public void setCurrent() {
        call(TenureC::tn_pool_set_current);
    }

    /** Makes the default pool that of this thread again. */
    public static void setDefault() {
        TenureException.check(TenureC.tn_pool_set_current(0));
    }

    public TenureC.tn_pool_stats stats() {
        TenureC.tn_pool_stats stats = new TenureC.tn_pool_stats();
        call(handle -> TenureC.tn_pool_query(handle, stats));
        return stats;
    }
}
