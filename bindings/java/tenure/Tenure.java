package tenure;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;

/** What belongs to no object. */
public final class Tenure {
    private Tenure() {}

    /** The objects that were made and not yet released. */
    public static List<TenureC.tn_holder> leaks() {
        return list(TenureC::tn_leaks);
    }

    /** Writes holders: their size, how many have room, where to, and how many there are. */
    interface Query {
        int apply(long size, long room, Pointer memory, long[] count);
    }

    static List<TenureC.tn_holder> list(Query query) {
        long size = new TenureC.tn_holder().size();
        long[] count = new long[1];
        for (long room = 16; ; room = count[0]) {
            Memory memory = new Memory(room * size);
            TenureException.check(query.apply(size, room, memory, count));
            if (count[0] <= room) {
                List<TenureC.tn_holder> found = new ArrayList<>();
                for (long at = 0; at < count[0]; at++) {
                    TenureC.tn_holder one = new TenureC.tn_holder(memory.share(at * size));
                    one.read();
                    found.add(one);
                }
                return found;
            }
        }
    }
}
