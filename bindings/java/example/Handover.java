import com.sun.jna.Native;
import tenure.Tenure;
import tenure.TenureArray;
import tenure.TenureException;
import tenure.TenurePromise;

/** Takes an array that C gives, squares its elements in place, and hands it back. */
public final class Handover {
    private static native int handover_give(long[] out);

    private static native int handover_receive(long result);

    public static void main(String[] arguments) {
        Native.register(arguments[0]);
        long[] out = new long[1];
        TenureException.check(handover_give(out));
        TenureArray array;
        try (TenurePromise promise = new TenurePromise(out[0])) {
            array = promise.take();
        }
        array.borrowWrite(guard -> {
            for (long i = 0; i < guard.shape()[0]; i++) {
                guard.setDouble(guard.getDouble(i) * guard.getDouble(i), i);
            }
        });
        TenureException.check(handover_receive(array.detach()));
        System.out.println(Tenure.leaks().size() + " leaks");
    }
}
