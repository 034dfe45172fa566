package dev.muonium.ortho;

import dev.muonium.device.Device;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;

/** A number of matrices at a time, in launches over all of them. */
final class StackedPolar implements PolarEngine {
    private final Device device;
    private final DeviceMemory memory;
    private final long rows;
    private final long cols;
    private final int together;
    private final BatchedNewtonSchulz iteration;
    private final MemorySegment sums;
    private final MemorySegment hostSums;
    private final Deque<Runnable> releases = new ArrayDeque<>();

    StackedPolar(NewtonSchulz spec, Device device, SquareProducts squares, long rows, long cols, int together) {
        this.device = device;
        this.memory = device.memory();
        this.rows = rows;
        this.cols = cols;
        this.together = together;
        String name = "polar factor of " + rows + "×" + cols;
        try {
            Tensor workspace = own(device.allocate(
                    Purpose.OPTIMIZER_WORKSPACE,
                    name,
                    ElementType.U8,
                    Shape.of(together, BatchedNewtonSchulz.workspaceBytes(spec, device, rows, cols))));
            this.iteration = BatchedNewtonSchulz.bind(spec, device, squares, rows, cols, together, workspace.segment());
            releases.push(iteration::close);
            this.sums = own(device.allocate(Purpose.OPTIMIZER_WORKSPACE, name, ElementType.F64, Shape.of(together)))
                    .segment();
            this.hostSums = own(memory.allocateStaging(
                            Purpose.OPTIMIZER_WORKSPACE, name, ElementType.F64, Shape.of(together)))
                    .segment();
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private Tensor own(Tensor tensor) {
        releases.push(tensor::close);
        return tensor;
    }

    private MemorySegment matrix(MemorySegment stack, int index) {
        long bytes = precision().byteSize();
        return memory.slice(stack, index * iteration.stride() * bytes, rows * cols * bytes);
    }

    @Override
    public ElementType precision() {
        return iteration.precision();
    }

    /** A stack's results are not looked at: they may not be there yet. */
    @Override
    public long fallbacks() {
        return 0;
    }

    @Override
    public Way way() {
        return iteration.way();
    }

    @Override
    public void run(
            int count,
            MemorySegment u,
            ElementType uType,
            long uLd,
            long uStride,
            MemorySegment out,
            ElementType outType,
            long outLd,
            long outStride) {
        long uBytes = ((rows - 1) * uLd + cols) * uType.byteSize();
        long outBytes = ((rows - 1) * outLd + cols) * outType.byteSize();
        for (int begin = 0; begin < count; begin += together) {
            int size = Math.min(together, count - begin);
            for (int i = 0; i < size; i++) {
                long offset = (begin + i) * uStride * uType.byteSize();
                MemorySegment x = matrix(iteration.input(), i);
                copy(memory.slice(u, offset, uBytes), uType, uLd, x, precision(), cols);
                MemorySegment sum = memory.slice(sums, (long) i * Double.BYTES, Double.BYTES);
                device.batchKernels().sumSquares(x, precision(), 0, rows * cols, sum);
            }
            evaluate(size);
            for (int i = 0; i < size; i++) {
                long offset = (begin + i) * outStride * outType.byteSize();
                copy(
                        matrix(iteration.output(), i),
                        precision(),
                        cols,
                        memory.slice(out, offset, outBytes),
                        outType,
                        outLd);
            }
        }
    }

    /** Of a last batch that is smaller, what remains of earlier matrices is evaluated again, and not looked at. */
    private void evaluate(int size) {
        iteration.enqueue(sums, 1, null);
        memory.stageOut(sums, hostSums, (long) size * Double.BYTES);
        device.synchronize();
        for (int i = 0; i < size; i++) {
            if (!(hostSums.getAtIndex(ValueLayout.JAVA_DOUBLE, i) < Double.POSITIVE_INFINITY)) {
                throw PolarEngine.notFinite(rows, cols);
            }
        }
    }

    private void copy(
            MemorySegment from, ElementType fromType, long fromLd, MemorySegment to, ElementType toType, long toLd) {
        device.kernels().scale(1, from, fromType, fromLd, to, toType, toLd, cols, 0, rows);
    }

    @Override
    public void close() {
        while (!releases.isEmpty()) {
            releases.pop().run();
        }
    }
}
