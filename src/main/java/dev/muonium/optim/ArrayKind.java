package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;

/** What arrays of AdamW must have in common to be updated by the same launch. */
record ArrayKind(
        int block, ElementType weightType, ElementType gradientType, BlockFormat mFormat, BlockFormat vFormat) {

    static ArrayKind of(AdamWSlot slot) {
        return new ArrayKind(
                slot.spec.block(),
                slot.parameter.weightType(),
                slot.parameter.gradientType(),
                slot.m.format(),
                slot.v.format());
    }
}
