/** Off-heap memory: element types, shapes, tensors over {@link java.lang.foreign.MemorySegment}, and the ledger that counts every byte by purpose. */
@NullMarked
package dev.muonium.memory;

import org.jspecify.annotations.NullMarked;
