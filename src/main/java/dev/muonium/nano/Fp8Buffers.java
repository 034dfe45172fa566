package dev.muonium.nano;

import dev.muonium.device.Fp8Operand;
import dev.muonium.device.Fp8Spec;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.optim.ParameterKind;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * What the FP8 products of all blocks take turns to use. Weights are coded anew for each product: that reads and writes three bytes for what
 * is then multiplied with every row of the batch, and needs no memory per layer. What waits for backward in FP8 is not used as it is: it has
 * its scales along features, and {@code dW} sums over rows.
 *
 * @param left the operand with the batch's rows, or the gradient's outputs
 * @param right the weights, or what {@code dW} multiplies with
 * @param beside where a result is computed that cannot be written in place; null where all can
 */
record Fp8Buffers(
        Fp8Shapes shapes,
        Fp8Operand left,
        Fp8Operand right,
        @Nullable MemorySegment beside) {
    private static final int PIECE = 16;

    static Fp8Buffers allocate(OwnedTensors memory, GptConfig config, GptOptions options, long rows) {
        Fp8Shapes shapes = Fp8Shapes.of(options);
        List<Fp8Spec> all = shapes.all(config, rows);
        boolean aligned = !options.transientGradients() || gradientsAreAligned(config, shapes.gradients());
        long beside = most(
                all,
                spec -> spec.isPadded() || !aligned
                        ? spec.resultElements() * spec.cType().byteSize()
                        : 0);
        return new Fp8Buffers(
                shapes,
                operand(memory, "left FP8 operand", most(all, Fp8Spec::aCodes), most(all, Fp8Spec::aScales)),
                operand(memory, "right FP8 operand", most(all, Fp8Spec::bCodes), most(all, Fp8Spec::bScales)),
                beside == 0
                        ? null
                        : memory.tensor(
                                        Purpose.ACTIVATIONS,
                                        "result beside its place",
                                        ElementType.U8,
                                        Shape.of(beside))
                                .segment());
    }

    /** Transient gradients of a block's matrices lie one behind the other. */
    private static boolean gradientsAreAligned(GptConfig config, ElementType type) {
        return config.parameters().stream()
                .filter(parameter -> parameter.kind() == ParameterKind.MATRIX)
                .allMatch(parameter -> parameter.elements() * type.byteSize() % PIECE == 0);
    }

    private static long most(List<Fp8Spec> specs, ToLongFunction<Fp8Spec> bytes) {
        return specs.stream().mapToLong(bytes).max().orElse(0);
    }

    private static Fp8Operand operand(OwnedTensors memory, String name, long codes, long scales) {
        return new Fp8Operand(
                memory.tensor(Purpose.ACTIVATIONS, name + " (codes)", ElementType.U8, Shape.of(codes))
                        .segment(),
                memory.tensor(Purpose.ACTIVATIONS, name + " (scales)", ElementType.F32, Shape.of(scales))
                        .segment());
    }
}
