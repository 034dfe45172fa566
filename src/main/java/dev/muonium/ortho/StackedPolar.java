package dev.muonium.ortho;

import dev.muonium.bindings.mu.mu_gradient;
import dev.muonium.bindings.mu.mu_step;
import dev.muonium.device.BatchKernels;
import dev.muonium.device.Device;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * A number of matrices at a time, in launches over all of them. Their norms come from the sweep that an optimizer's step begins
 * with, whose records say where the matrices lie.
 */
final class StackedPolar implements PolarEngine {
    /** The sweep's only refusal is then that of a sum that is not finite. */
    private static final double NO_LIMIT = Double.MAX_VALUE;

    private final Device device;
    private final DeviceMemory memory;
    private final long rows;
    private final long cols;
    private final int together;
    private final long chunks;
    private final BatchedNewtonSchulz iteration;
    private final MemorySegment partial;
    private final MemorySegment step;
    private final MemorySegment records;
    private final MemorySegment stepStaging;
    private final Deque<Runnable> releases = new ArrayDeque<>();

    StackedPolar(NewtonSchulz spec, Device device, SquareProducts squares, long rows, long cols, int together) {
        this.device = device;
        this.memory = device.memory();
        this.rows = rows;
        this.cols = cols;
        this.together = together;
        this.chunks = (Shape.of(rows, cols).elements() + BatchKernels.CHUNK - 1) / BatchKernels.CHUNK;
        String name = "polar factor of " + rows + "×" + cols;
        try {
            Tensor workspace = own(device.allocate(
                    Purpose.OPTIMIZER_WORKSPACE,
                    name,
                    ElementType.U8,
                    Shape.of(together, BatchedNewtonSchulz.workspaceBytes(spec, device, rows, cols))));
            this.iteration = BatchedNewtonSchulz.bind(spec, device, squares, rows, cols, together, workspace.segment());
            releases.push(iteration::close);
            this.partial = allocate(name, together * chunks * Double.BYTES);
            this.step = allocate(name, mu_step.sizeof());
            this.records = allocate(name, together * mu_gradient.sizeof());
            this.stepStaging = stage(name, mu_step.sizeof());
            describe(name);
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private Tensor own(Tensor tensor) {
        releases.push(tensor::close);
        return tensor;
    }

    private MemorySegment allocate(String name, long bytes) {
        return own(device.allocate(Purpose.OPTIMIZER_WORKSPACE, name, ElementType.F64, Shape.of(bytes / Double.BYTES)))
                .segment();
    }

    private MemorySegment stage(String name, long bytes) {
        return own(memory.allocateStaging(
                        Purpose.OPTIMIZER_WORKSPACE, name, ElementType.F64, Shape.of(bytes / Double.BYTES)))
                .segment();
    }

    /** Writes what the sweep reads: neither changes from call to call. */
    private void describe(String name) {
        try (Tensor host = memory.allocateStaging(
                Purpose.OPTIMIZER_WORKSPACE,
                name,
                ElementType.F64,
                Shape.of(together * mu_gradient.sizeof() / Double.BYTES))) {
            for (int i = 0; i < together; i++) {
                MemorySegment record = mu_gradient.asSlice(host.segment(), i);
                mu_gradient.gradient(record, matrix(iteration.input(), i));
                mu_gradient.elements(record, rows * cols);
                mu_gradient.first_chunk(record, i * chunks);
                mu_gradient.limit(record, NO_LIMIT);
                mu_gradient.type(record, precision() == ElementType.BF16 ? 1 : 0);
            }
            memory.copyIn(host.segment(), 0, records, 0, host.byteSize());
        }
        mu_step.gradient_scale(stepStaging, 1);
        mu_step.clip_norm(stepStaging, Double.POSITIVE_INFINITY);
        memory.copyIn(stepStaging, 0, step, 0, mu_step.sizeof());
    }

    private MemorySegment matrix(MemorySegment stack, int index) {
        long bytes = precision().byteSize();
        return memory.slice(stack, index * iteration.stride() * bytes, rows * cols * bytes);
    }

    @Override
    public ElementType precision() {
        return iteration.precision();
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
                copy(memory.slice(u, offset, uBytes), uType, uLd, matrix(iteration.input(), i), precision(), cols);
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
        device.batchKernels().gradientSweep(records, size, size * chunks, partial, step);
        iteration.enqueue(partial, chunks, step);
        memory.stageOut(step, stepStaging, mu_step.sizeof());
        device.synchronize();
        if (mu_step.first_non_finite(stepStaging) >= 0) {
            throw PolarEngine.notFinite(rows, cols);
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
