package dev.muonium.ortho;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Polar factors on a CPU, by tasks. */
@Tag("tier")
class PolarFactorTest extends CpuPolarFactorContract {

    @Test
    void aWorkspaceThatCannotBeUsedGetsASentence() {
        long bytes = Iteration.workspaceBytes(FP32, device, 3, 4);
        try (Arena arena = Arena.ofShared()) {
            String name = "'the workspace of a Newton-Schulz iteration for 3×4'";
            MemorySegment memory = arena.allocate(bytes + 8, 64);
            assertMessage(name + " lies on the Java heap", () -> bind(MemorySegment.ofArray(new byte[(int) bytes])));
            assertMessage(name + " is read-only", () -> bind(memory.asReadOnly()));
            assertMessage(name + " starts at address", () -> bind(memory.asSlice(2)));
            assertMessage(name + " has " + (bytes - 1) + " bytes", () -> bind(memory.asSlice(0, bytes - 1)));
            bind(memory.asSlice(4));
        }
        assertMessage("extent 0", () -> Iteration.workspaceBytes(FP32, device, 0, 4));
        assertMessage(
                "iteration for 3000000000×3000000000 has more bytes than a 64-bit count can hold",
                () -> Iteration.workspaceBytes(FP32, device, 3_000_000_000L, 3_000_000_000L));
        assertMessage(
                "more bytes than a 64-bit count", () -> Iteration.workspaceBytes(FP32, device, 1, Long.MAX_VALUE / 5));
    }

    private void bind(MemorySegment workspace) {
        Iteration.bind(FP32, device, 3, 4, workspace);
    }
}
