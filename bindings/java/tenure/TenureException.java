package tenure;

/** A call that the library refused, with its message. */
public final class TenureException extends RuntimeException {
    private static final long serialVersionUID = 1;

    private final int status;

    TenureException(int status, String message) {
        super(message);
        this.status = status;
    }

    /** TN_ERR_STALE, for example. */
    public int status() {
        return status;
    }

    /** "TN_ERR_STALE", for example. */
    public String statusName() {
        return TenureC.tn_status_name(status);
    }

    /** Throws unless the status of a call is TN_OK. The message is that of the last failed call of this thread. */
    public static void check(int status) {
        if (status != TenureC.TN_OK) {
            throw new TenureException(status, TenureC.tn_last_error());
        }
    }
}
