package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * One array of a parameter's optimizer state.
 *
 * @param name {@code momentum_buffer}, {@code exp_avg}, {@code exp_avg_sq} or {@code master_weights}
 * @param format how the values are stored
 * @param block elements per scale
 * @param elements the number of values
 * @param codes the codes, or FP32 values
 * @param scales one FP32 scale per block, or null without scales
 */
public record StateTensor(
        String name,
        BlockFormat format,
        int block,
        long elements,
        MemorySegment codes,
        @Nullable MemorySegment scales) {}
