package dev.muonium.optim;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Arrays cut into tasks of a fixed size, numbered through. The borders depend on the arrays' lengths alone and fall on borders
 * of blocks of any size.
 */
final class Chunks {
    /** 2^16 elements: some tens of microseconds of work, and a multiple of every block size. */
    static final long SIZE = 1 << 16;

    private final long[] elements;
    private final int[] first;
    private final int[] arrayOf;

    private Chunks(long[] elements, int[] first, int[] arrayOf) {
        this.elements = elements;
        this.first = first;
        this.arrayOf = arrayOf;
    }

    static Chunks of(List<? extends Slot> slots) {
        long[] elements = new long[slots.size()];
        int[] first = new int[slots.size() + 1];
        List<Integer> arrayOf = new ArrayList<>();
        for (int i = 0; i < elements.length; i++) {
            elements[i] = slots.get(i).elements();
            arrayOf.addAll(Collections.nCopies(count(elements[i]), i));
            first[i + 1] = arrayOf.size();
        }
        return new Chunks(
                elements, first, arrayOf.stream().mapToInt(Integer::intValue).toArray());
    }

    /** The number of chunks of an array. */
    static int count(long elements) {
        return Math.toIntExact((elements + SIZE - 1) / SIZE);
    }

    int count() {
        return arrayOf.length;
    }

    /** Which array a chunk is of. */
    int array(int chunk) {
        return arrayOf[chunk];
    }

    long begin(int chunk) {
        return (chunk - first[arrayOf[chunk]]) * SIZE;
    }

    long end(int chunk) {
        return Math.min(begin(chunk) + SIZE, elements[arrayOf[chunk]]);
    }

    /** The first chunk of an array; {@code first(array + 1)} is the first behind it. */
    int first(int array) {
        return first[array];
    }

    @Override
    public String toString() {
        return Arrays.toString(elements) + " in " + count() + " chunks";
    }
}
