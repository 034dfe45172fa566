package dev.muonium.device;

import dev.muonium.memory.ElementType;

/**
 * What a matrix product computes: {@code C ← op(A)·op(B)}, or {@code C ← op(A)·op(B) + C} when it accumulates. All
 * matrices are row-major; {@code op} is the transpose where the flag is set. Products are summed in FP32.
 *
 * @param aType F32 or BF16
 * @param bType the same as {@code aType}
 * @param cType F32 or BF16; an accumulating product rounds its sum once, when C is written
 * @param transA whether A is stored as {@code k × m}
 * @param transB whether B is stored as {@code n × k}
 * @param m rows of C
 * @param n columns of C
 * @param k the extent that is summed over
 * @param lda elements from one stored row of A to the next
 * @param ldb elements from one stored row of B to the next
 * @param ldc elements from one row of C to the next
 * @param accumulate whether C is added to
 */
public record MatmulSpec(
        ElementType aType,
        ElementType bType,
        ElementType cType,
        boolean transA,
        boolean transB,
        long m,
        long n,
        long k,
        long lda,
        long ldb,
        long ldc,
        boolean accumulate) {

    /** Checks types, extents and leading dimensions. */
    public MatmulSpec {
        requireFloat("A", aType);
        requireFloat("C", cType);
        if (bType != aType) {
            throw new IllegalArgumentException(
                    "A is " + aType + " and B is " + bType + "; both must have the same type");
        }
        requirePositive("m", m);
        requirePositive("n", n);
        requirePositive("k", k);
        requireLeading("lda", lda, transA ? m : k);
        requireLeading("ldb", ldb, transB ? k : n);
        requireLeading("ldc", ldc, n);
    }

    /** Dense FP32 matrices, nothing accumulated. */
    public static MatmulSpec f32(boolean transA, boolean transB, long m, long n, long k) {
        return dense(ElementType.F32, ElementType.F32, transA, transB, m, n, k);
    }

    /** Dense matrices (leading dimensions are the row lengths), nothing accumulated. */
    public static MatmulSpec dense(
            ElementType inputs, ElementType output, boolean transA, boolean transB, long m, long n, long k) {
        return new MatmulSpec(
                inputs, inputs, output, transA, transB, m, n, k, transA ? m : k, transB ? k : n, n, false);
    }

    /** The same product, added to C. */
    public MatmulSpec accumulating() {
        return new MatmulSpec(aType, bType, cType, transA, transB, m, n, k, lda, ldb, ldc, true);
    }

    /** The same product with other leading dimensions. */
    public MatmulSpec leading(long newLda, long newLdb, long newLdc) {
        return new MatmulSpec(aType, bType, cType, transA, transB, m, n, k, newLda, newLdb, newLdc, accumulate);
    }

    /** Multiplications and additions: {@code 2·m·n·k}. */
    public double flops() {
        return 2.0 * m * n * k;
    }

    private static void requireFloat(String matrix, ElementType type) {
        if (type != ElementType.F32 && type != ElementType.BF16) {
            throw new IllegalArgumentException(matrix + " is " + type + "; a matrix product takes F32 or BF16");
        }
    }

    private static void requirePositive(String name, long value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be at least 1");
        }
    }

    private static void requireLeading(String name, long value, long least) {
        if (value < least) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be at least the row length " + least);
        }
    }
}
