package dev.muonium.jmh;

import java.lang.foreign.MemorySegment;
import java.util.List;

/** A library that is measured, in a process of its own ({@link SideProcess}), with one set of matrices at a time. */
interface Side {
    /** What the side is and how it is set: versions, instruction sets, threads. */
    String describe();

    /** The names of its ways of making a step; {@link #step} knows no others. */
    List<String> ways();

    /** Takes the matrices of a set in place of those before, with {@link Noise} for weights and gradients. */
    void load(MatrixSet set);

    /** One step over the first matrices. */
    void step(String way, int matrices);

    /** Gives the weights back their first values and makes {@code way} forget its momentum. */
    void reset(String way);

    /** The weights of a matrix, FP32, in order of their rows. */
    MemorySegment weights(int matrix);

    int matrices();
}
