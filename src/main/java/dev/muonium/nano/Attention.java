package dev.muonium.nano;

import java.lang.foreign.MemorySegment;

/**
 * Causal grouped-query attention: {@code O = softmax(Q·Kᵀ/√headDim)·V} for each query head, where {@code heads/kvHeads} of them
 * share a key and value head. No array of {@code context × context} is stored: backward computes the scores again from the logarithm of
 * each row's sum that forward left.
 */
sealed interface Attention permits CausalAttention, FusedAttention {
    /** Tasks for a number of sequences; the same for both directions. */
    int tasks(int sequences);

    /**
     * {@code o ← attention(q, k, v)}.
     *
     * @param sequences how many there are in all tasks together
     * @param q queries, {@code rows × heads × headDim}
     * @param k keys, {@code rows × kvHeads × headDim}
     * @param v values, as {@code k}
     * @param o as {@code q}
     * @param lse gets the logarithm of each row's sum, FP32, {@code sequences × heads × context}
     */
    void forward(
            int task,
            int worker,
            int sequences,
            MemorySegment q,
            MemorySegment k,
            MemorySegment v,
            MemorySegment o,
            MemorySegment lse);

    /**
     * {@code dq, dk, dv} from {@code dO}.
     *
     * @param lse what forward left
     * @param delta {@code Σ o·dO} per head and row, FP32, {@code sequences × heads × context}
     */
    void backward(
            int task,
            int worker,
            int sequences,
            MemorySegment q,
            MemorySegment k,
            MemorySegment v,
            MemorySegment lse,
            MemorySegment dO,
            MemorySegment delta,
            MemorySegment dq,
            MemorySegment dk,
            MemorySegment dv);
}
