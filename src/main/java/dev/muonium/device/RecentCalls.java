package dev.muonium.device;

/**
 * The names of the calls that a device has not yet answered for, the latest few: what it reports late may be any one's fault.
 * Written without a lock by whoever calls; with several callers at once a name may be lost, which costs nothing but that name.
 */
final class RecentCalls {
    private static final int KEPT = 8;

    private final String[] names = new String[KEPT];
    private volatile long count;

    @SuppressWarnings("NonAtomicVolatileUpdate") // see above
    void note(String name) {
        names[(int) (count % KEPT)] = name;
        count++;
    }

    void clear() {
        count = 0;
    }

    /** For example {@code mu_quantize, cublasGemmEx}; empty if there was none. */
    @Override
    public String toString() {
        long all = count;
        StringBuilder text = new StringBuilder();
        for (long i = Math.max(0, all - KEPT); i < all; i++) {
            text.append(text.isEmpty() ? "" : ", ").append(names[(int) (i % KEPT)]);
        }
        return all > KEPT ? (all - KEPT) + " others, " + text : text.toString();
    }
}
