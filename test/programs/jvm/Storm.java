import java.lang.management.GarbageCollectorMXBean;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/** Threads allocate as fast as they can, keep some of it, and sum up what they let go: a collector is always at work. */
public class Storm {
    static final int THREADS = 4, KEPT = 20_000;
    static volatile boolean stopping;
    static final AtomicLong made = new AtomicLong();
    static final ConcurrentHashMap<Long, Integer> shared = new ConcurrentHashMap<>();
    static final StringBuffer faults = new StringBuffer();

    /** A node knows what must be in it, and who came before it. */
    static final class Node {
        final long number;
        final byte[] data;
        final Node before;

        Node(long number, Node before) {
            this.number = number;
            this.before = before;
            data = new byte[(int) (number * 31 % 400)];
            for (int i = 0; i < data.length; i++) data[i] = (byte) (number + i);
        }

        boolean broken() {
            for (int i = 0; i < data.length; i++) if (data[i] != (byte) (number + i)) return true;
            return before != null && before.number != number - 1;
        }
    }

    static void storm(int thread) {
        var kept = new ArrayDeque<Node>();
        Node last = null;
        for (long n = 0; !stopping; n++) {
            last = new Node(n, n % 100 == 0 ? null : last);
            kept.add(last);
            shared.merge(n % 1000 * THREADS + thread, 1, Integer::sum);
            if (kept.size() > KEPT) {
                Node old = kept.remove();
                if (old.number != n - KEPT || old.broken()) faults.append("thread " + thread + ": node " + old.number + " is broken; ");
            }
            if (n % 1000 == 999) made.addAndGet(1000);
        }
    }

    static long collections() {
        long n = 0;
        for (GarbageCollectorMXBean b : ManagementFactory.getGarbageCollectorMXBeans()) n += b.getCollectionCount();
        return n;
    }

    static void write(String name, String text) throws Exception {
        Files.writeString(Path.of(name + ".new"), text);
        Files.move(Path.of(name + ".new"), Path.of(name), StandardCopyOption.ATOMIC_MOVE);
    }

    public static void main(String[] args) throws Exception {
        var threads = new Thread[THREADS];
        for (int i = 0; i < THREADS; i++) {
            int number = i;
            threads[i] = new Thread(() -> storm(number));
            threads[i].setUncaughtExceptionHandler((t, e) -> faults.append(t + ": " + e + "; "));
            threads[i].start();
        }
        while (!Files.exists(Path.of("stop"))) {
            Thread.sleep(20);
            write("progress", made.get() / 1000 + " thousand nodes, " + collections() + " collections");
        }
        stopping = true;
        for (Thread t : threads) t.join();
        long entries = 0;
        for (int n : shared.values()) entries += n;
        if (entries < made.get()) faults.append(entries + " entries of " + made.get() + "; ");
        if (collections() < 10) faults.append("only " + collections() + " collections; ");
        write("result", faults.length() == 0 ? "pass" : "fail: " + faults);
    }
}
