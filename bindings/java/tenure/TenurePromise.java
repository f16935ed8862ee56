package tenure;

/** An array that was given and not yet taken. */
public final class TenurePromise extends TenureHandle {
    /** Takes over a promise that other code gives. */
    public TenurePromise(long handle) {
        super(handle, TenureC::tn_promise_release, true, null);
    }

    /** Takes the array: the giver's handle is destructed. The promise is still to be closed. */
    public TenureArray take() {
        return make((handle, out) -> TenureC.tn_take(1, new long[] {handle}, out), TenureArray::new);
    }

    /** Returns the claim to the giver. */
    public void cancel() {
        call(TenureC::tn_promise_cancel);
    }

    /** Hands the handle to other code, which then owns it. */
    public long detach() {
        setOwned(false);
        return handle();
    }
}
