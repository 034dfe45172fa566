package dev.muonium.memory;

/**
 * A counter-based generator: what it gives is a function of the seed, a stream and a counter alone, so that work can be cut over any number of
 * threads. The mixing function is that of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
 */
public final class CounterRandom {
    private static final long GOLDEN = 0x9E3779B97F4A7C15L;
    private static final double TWO_POW_MINUS_32 = 0x1.0p-32;

    private CounterRandom() {}

    /** 64 random bits. */
    public static long bits(long seed, long stream, long counter) {
        return mix(mix(mix(seed + GOLDEN) + stream * GOLDEN) + counter * GOLDEN);
    }

    /** Uniform in {@code [0, 1)}, 53 bits. */
    public static double uniform(long seed, long stream, long counter) {
        return (bits(seed, stream, counter) >>> 11) * 0x1.0p-53;
    }

    /** Uniform in {@code 0..bound-1}. */
    public static long below(long bound, long seed, long stream, long counter) {
        // The bias of the multiplication is at most bound / 2^64.
        return Math.unsignedMultiplyHigh(bits(seed, stream, counter), bound);
    }

    /** Normal with mean 0 and deviation 1 (Box and Muller), from two halves of 32 bits. */
    public static double normal(long seed, long stream, long counter) {
        long bits = bits(seed, stream, counter);
        double radius = Math.sqrt(-2 * Math.log(((bits >>> 32) + 0.5) * TWO_POW_MINUS_32));
        return radius * Math.cos(2 * Math.PI * (bits & 0xFFFFFFFFL) * TWO_POW_MINUS_32);
    }

    private static long mix(long z) {
        long x = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        x = (x ^ (x >>> 27)) * 0x94D049BB133111EBL;
        return x ^ (x >>> 31);
    }
}
