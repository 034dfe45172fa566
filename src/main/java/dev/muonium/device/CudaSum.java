package dev.muonium.device;

import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.locks.ReentrantLock;

/** A GPU's place for a sum: one double in its memory, for one caller at a time, who waits for it to be copied back. */
final class CudaSum implements SumPlace, AutoCloseable {
    private final CudaStream stream;
    private final CudaMemory memory;
    private final Tensor sum;
    private final ReentrantLock taken = new ReentrantLock();

    CudaSum(CudaStream stream, CudaMemory memory) {
        this.stream = stream;
        this.memory = memory;
        this.sum = memory.allocate(Purpose.WORKSPACE, "sum of a kernel", ElementType.F64, Shape.of(1));
    }

    @Override
    public MemorySegment take() {
        taken.lock();
        try {
            stream.requireUsable();
            stream.refuseInRecording("a kernel that returns a sum cannot be called");
            return sum.segment();
        } catch (RuntimeException | Error e) {
            taken.unlock();
            throw e;
        }
    }

    @Override
    public double read(MemorySegment place) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(ValueLayout.JAVA_DOUBLE);
            memory.copyOut(place, 0, host, 0, Double.BYTES);
            return host.get(ValueLayout.JAVA_DOUBLE, 0);
        }
    }

    @Override
    public void give() {
        taken.unlock();
    }

    @Override
    public void close() {
        sum.close();
    }
}
