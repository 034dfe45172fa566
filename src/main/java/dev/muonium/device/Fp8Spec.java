package dev.muonium.device;

import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;

/**
 * What an FP8 product computes: {@code C ← A·Bᵀ}, or {@code C ← A·Bᵀ + C} when it accumulates, with A of {@code m × k} and B of
 * {@code n × k} in FP8 codes times their scales and C of {@code m × n}, dense and row-major. Sums are in FP32.
 *
 * <p>Tensor cores take FP8 in pieces of 16 bytes along the sum, and write whole pieces of 16 bytes (cuBLAS documentation, "Tensor Core
 * Usage" and "cublasLtMatmul()"); with scales of blocks, rows and columns of C come by fours ("Scaling Factors Layouts"). Operands are therefore stored
 * with zeros to {@link #paddedK}, {@link #paddedM} and {@link #paddedN}, and a C that is not of such an extent is computed beside its place.
 *
 * @param aFormat FP8_E4M3 or FP8_E5M2
 * @param bFormat FP8_E4M3 or FP8_E5M2, not both FP8_E5M2
 * @param squares whether B, a matrix of weights, has scales of 128 × 128 elements, else of 128 along the sum, as A; where the device has
 *     scales of blocks at all
 * @param cType F32 or BF16
 * @param m rows of C
 * @param n columns of C
 * @param k the extent that is summed over
 * @param accumulate whether C is added to
 */
public record Fp8Spec(
        BlockFormat aFormat,
        BlockFormat bFormat,
        boolean squares,
        ElementType cType,
        long m,
        long n,
        long k,
        boolean accumulate) {
    /** Elements that share a scale. */
    static final int BLOCK = 128;

    private static final long PIECE = 16;
    private static final long FOURS = 4;
    private static final long MOST = 1L << 31;

    /** Checks formats, types and extents. */
    public Fp8Spec {
        requireFp8("A", aFormat);
        requireFp8("B", bFormat);
        if (aFormat == BlockFormat.FP8_E5M2 && bFormat == BlockFormat.FP8_E5M2) {
            throw new IllegalArgumentException("A and B are both FP8_E5M2; one of the two must be FP8_E4M3");
        }
        if (cType != ElementType.F32 && cType != ElementType.BF16) {
            throw new IllegalArgumentException("C is " + cType + "; an FP8 product writes F32 or BF16");
        }
        requireExtent("m", m);
        requireExtent("n", n);
        requireExtent("k", k);
    }

    private static void requireFp8(String matrix, BlockFormat format) {
        if (format != BlockFormat.FP8_E4M3 && format != BlockFormat.FP8_E5M2) {
            throw new IllegalArgumentException(
                    matrix + " is " + format + "; an FP8 product takes FP8_E4M3 or FP8_E5M2");
        }
    }

    private static void requireExtent(String name, long value) {
        if (value < 1 || value >= MOST) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be from 1 to " + (MOST - 1));
        }
    }

    private static long up(long value, long multiple) {
        return (value + multiple - 1) / multiple * multiple;
    }

    /** Rows of A as it is stored. */
    public long paddedM() {
        return up(m, FOURS);
    }

    /** Rows of B as it is stored. */
    public long paddedN() {
        return up(n, PIECE / cType.byteSize());
    }

    /** Columns of A and B as they are stored. */
    public long paddedK() {
        return up(k, PIECE);
    }

    private long blocks() {
        return (paddedK() + BLOCK - 1) / BLOCK;
    }

    /** Bytes of the codes of A. */
    public long aCodes() {
        return paddedM() * paddedK();
    }

    /** Bytes of the codes of B. */
    public long bCodes() {
        return paddedN() * paddedK();
    }

    /** How many scales A has room for, with any {@link Fp8Scaling}; the first 2 are all that one for the whole matrix needs. */
    public long aScales() {
        return Math.max(2, paddedM() * blocks());
    }

    /** How many scales B has room for. */
    public long bScales() {
        return Math.max(2, squares ? squareStride() * ((paddedN() + BLOCK - 1) / BLOCK) : paddedN() * blocks());
    }

    /** From the scales of one row of squares to those of the next: a multiple of four. */
    long squareStride() {
        return up(blocks(), FOURS);
    }

    /** Whether C is computed beside its place, because its rows or columns do not come in whole pieces. */
    public boolean isPadded() {
        return paddedM() != m || paddedN() != n;
    }

    /** Elements of C where it is computed beside its place. */
    public long resultElements() {
        return paddedM() * paddedN();
    }
}
