package dev.muonium.lowrank;

import dev.muonium.device.Device;
import dev.muonium.device.MatmulSpec;
import dev.muonium.device.TiledProduct;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.ParameterState;
import dev.muonium.optim.StateTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Carries an optimizer's state of one matrix from an old subspace to a new one, with {@code Q = P'ᵀP}: momentum and first moments are rotated,
 * {@code m' = Q·m}. Second moments are mixed, {@code v' = (Q∘Q)·v}: that is the variance of {@code Q·g} where the coordinates of g are uncorrelated; it is never
 * negative, as a rotated v would be.
 */
final class StateRotation {
    private final Device device;
    private final LowRankMatrix matrix;
    private final Tensor rotation;
    private final Tensor squared;

    private StateRotation(Device device, LowRankMatrix matrix, Tensor rotation, Tensor squared) {
        this.device = device;
        this.matrix = matrix;
        this.rotation = rotation;
        this.squared = squared;
    }

    /** @param q {@code P'ᵀP}, {@code rank × rank}, row-major */
    static void apply(Device device, Optimizer optimizer, LowRankMatrix matrix, float[] q) {
        Shape shape = Shape.of(matrix.rank, matrix.rank);
        float[] squares = new float[q.length];
        for (int i = 0; i < q.length; i++) {
            squares[i] = q[i] * q[i];
        }
        try (Tensor rotation = device.allocate(Purpose.WORKSPACE, "rotation", ElementType.F32, shape);
                Tensor squared = device.allocate(Purpose.WORKSPACE, "squared rotation", ElementType.F32, shape)) {
            rotation.copyFrom(q);
            squared.copyFrom(squares);
            StateRotation to = new StateRotation(device, matrix, rotation, squared);
            ParameterState state = optimizer.state(matrix.name);
            List<StateTensor> carried = new ArrayList<>();
            for (StateTensor tensor : state.tensors()) {
                carried.add(to.carried(tensor));
            }
            optimizer.restore(matrix.name, new ParameterState(state.step(), carried));
        }
    }

    private StateTensor carried(StateTensor from) {
        boolean isVariance = from.name().equals("exp_avg_sq");
        BlockFormat format = from.format();
        long scales = format.scales(from.elements(), from.block());
        try (Tensor codes = device.allocate(Purpose.WORKSPACE, "codes", format.codeType(), Shape.of(from.elements()));
                Tensor scaleTensor =
                        device.allocate(Purpose.WORKSPACE, "scales", ElementType.F32, Shape.of(Math.max(1, scales)));
                Tensor before =
                        device.allocate(Purpose.WORKSPACE, "state", ElementType.F32, Shape.of(from.elements()));
                Tensor after =
                        device.allocate(Purpose.WORKSPACE, "rotated", ElementType.F32, Shape.of(from.elements()))) {
            device.memory().copyIn(from.codes(), 0, codes.segment(), 0, codes.byteSize());
            MemorySegment source = from.scales();
            if (source == null) {
                rotate(codes, after, isVariance);
                return new StateTensor(
                        from.name(), format, from.block(), from.elements(), host(after, after.byteSize()), null);
            }
            device.memory().copyIn(source, 0, scaleTensor.segment(), 0, scales * Float.BYTES);
            device.kernels()
                    .dequantize(
                            format,
                            from.block(),
                            codes.segment(),
                            scaleTensor.segment(),
                            before.segment(),
                            ElementType.F32,
                            0,
                            from.elements());
            rotate(before, after, isVariance);
            device.kernels()
                    .quantize(
                            format,
                            from.block(),
                            after.segment(),
                            ElementType.F32,
                            codes.segment(),
                            scaleTensor.segment(),
                            0,
                            from.elements());
            MemorySegment hostCodes = host(codes, codes.byteSize());
            if (isVariance) {
                keepPositive(hostCodes);
            }
            return new StateTensor(
                    from.name(),
                    format,
                    from.block(),
                    from.elements(),
                    hostCodes,
                    host(scaleTensor, scales * Float.BYTES));
        }
    }

    /** As the step does: a v that was rounded to 0 would let what is left of m be divided by ε alone. */
    private static void keepPositive(MemorySegment codes) {
        for (long i = 0; i < codes.byteSize(); i++) {
            if (codes.get(ValueLayout.JAVA_BYTE, i) == 0) {
                codes.set(ValueLayout.JAVA_BYTE, i, (byte) 1);
            }
        }
    }

    private MemorySegment host(Tensor tensor, long bytes) {
        MemorySegment copy = Arena.ofAuto().allocate(Math.max(8, bytes), 8);
        device.memory().copyOut(tensor.segment(), 0, copy, 0, bytes);
        return copy.asSlice(0, bytes);
    }

    private void rotate(Tensor from, Tensor to, boolean isVariance) {
        MemorySegment q = (isVariance ? squared : rotation).segment();
        int rank = matrix.rank;
        MatmulSpec spec = matrix.isLeft()
                ? MatmulSpec.f32(false, false, rank, matrix.cols, rank)
                : MatmulSpec.f32(false, true, matrix.rows, rank, rank);
        TiledProduct product = TiledProduct.forWorkersOf(device, spec, 256, 256);
        device.workers().run(product.tasks(), (task, worker) -> {
            if (matrix.isLeft()) {
                product.run(task, worker, q, from.segment(), to.segment());
            } else {
                product.run(task, worker, from.segment(), q, to.segment());
            }
        });
    }
}
