import com.sun.jna.Native;
import tenure.Tenure;
import tenure.TenureArray;
import tenure.TenurePromise;

/** Takes an array that C gives, squares its elements in place, and gives it back. */
public final class Handover {
    private static native void handover_give(long[] out);

    private static native void handover_take(long[] given);

    public static void main(String[] arguments) {
        Native.register(arguments[0]);
        long[] out = new long[1];
        handover_give(out);
        TenurePromise promise = new TenurePromise(out[0]);
        try (TenureArray array = promise.take()) {
            promise.detach(); // it is C's, which releases it
            array.borrowWrite(guard -> {
                for (long i = 0; i < guard.shape()[0]; i++) {
                    guard.setDouble(guard.getDouble(i) * guard.getDouble(i), i);
                }
            });
            try (TenurePromise given = array.give()) {
                handover_take(new long[] {given.handle()});
            }
        }
        System.out.println(Tenure.leaks().size() + " leaks");
    }
}
