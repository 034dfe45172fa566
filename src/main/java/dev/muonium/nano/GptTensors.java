package dev.muonium.nano;

import dev.muonium.activations.CodedActivations;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.ParameterKind;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * All that a model holds on its device, but for the scratch of attention where that is cut into tiles; {@code n = batch × context} rows.
 *
 * @param parameters weights and gradients, in the order of {@link GptConfig#parameters()}
 * @param tokens of the batch, {@code n}
 * @param targets the token that follows each
 * @param rotaryTable FP32, {@code context × headDim}
 * @param embeddedRstd {@code n}
 * @param lastRstd of the norm before the head, {@code n}
 * @param streams what the blocks keep and share
 * @param gradientStream the gradient of the residual stream between two blocks, where it waits in FP8; else null
 * @param blockGradients where the gradients of one block's matrices lie, if they are transient; else null
 * @param shared by all blocks
 * @param head of the head and its loss
 * @param fp8 of FP8 products; null where there are none
 */
record GptTensors(
        List<GptParameter> parameters,
        MemorySegment tokens,
        MemorySegment targets,
        Tensor rotaryTable,
        MemorySegment embeddedRstd,
        MemorySegment lastRstd,
        StreamMemory streams,
        SharedActivations shared,
        @Nullable CodedActivations gradientStream,
        @Nullable Tensor blockGradients,
        HeadActivations head,
        @Nullable Fp8Buffers fp8) {

    /** @param fp8Products whether the device multiplies in FP8 */
    static GptTensors allocate(
            OwnedTensors memory, GptConfig config, int batch, GptOptions options, Grain grain, boolean fp8Products) {
        int n = batch * config.context();
        Precision precision = options.precision();
        ElementType type = precision.compute();
        Tensor blockGradients = options.transientGradients()
                ? memory.tensor(
                        Purpose.GRADIENTS,
                        "gradients of a block",
                        precision.gradients(),
                        Shape.of(blockElements(config)))
                : null;
        List<GptParameter> parameters = parameters(memory, config, precision, blockGradients);
        SharedActivations shared = SharedActivations.allocate(memory, config, type, n);
        return new GptTensors(
                parameters,
                tokens(memory, "tokens", n),
                tokens(memory, "targets", n),
                memory.tensor(
                        Purpose.ACTIVATIONS,
                        "rotary table",
                        ElementType.F32,
                        Shape.of(config.context(), config.headDim())),
                memory.activations("embedded rstd", ElementType.F32, n, 1),
                memory.activations("last rstd", ElementType.F32, n, 1),
                StreamMemory.allocate(memory, config, options, grain, n),
                shared,
                options.fp8Gradients() ? gradientStream(memory, config, type, grain, shared, n) : null,
                blockGradients,
                HeadActivations.allocate(memory, config, type, grain, n),
                fp8Products && options.multipliesInFp8(grain) ? Fp8Buffers.allocate(memory, config, options, n) : null);
    }

    private static List<GptParameter> parameters(
            OwnedTensors memory, GptConfig config, Precision precision, @Nullable Tensor blockGradients) {
        List<GptParameter> parameters = new ArrayList<>();
        long within = 0;
        for (ParameterDescription description : config.parameters()) {
            String name = description.name();
            Tensor weights = memory.tensor(Purpose.WEIGHTS, name, precision.compute(), description.shape());
            String gradientName = "gradient of " + name;
            Tensor gradient;
            if (blockGradients != null && description.kind() == ParameterKind.MATRIX) {
                gradient = blockGradients.view(gradientName, within, description.shape());
                within = (within + description.elements()) % blockGradients.elements();
            } else {
                gradient = memory.tensor(Purpose.GRADIENTS, gradientName, precision.gradients(), description.shape());
            }
            parameters.add(new GptParameter(description, weights, gradient));
        }
        return List.copyOf(parameters);
    }

    private static long blockElements(GptConfig config) {
        long all = 0;
        for (ParameterDescription description : config.parameters()) {
            all += description.kind() == ParameterKind.MATRIX ? description.elements() : 0;
        }
        return all / config.layers();
    }

    private static CodedActivations gradientStream(
            OwnedTensors memory, GptConfig config, ElementType type, Grain grain, SharedActivations shared, long n) {
        CodedActivations coded = new CodedActivations(memory, type, BlockFormat.FP8_E5M2, grain == Grain.WHOLE);
        coded.add("gradient of the stream", shared.gradient(), n * config.dModel());
        return coded;
    }

    /** The residual stream behind the last block. */
    MemorySegment lastStream() {
        return streams.streams().getLast();
    }

    /** The parameters of a block. */
    List<GptParameter> matricesOf(int layer) {
        int all = (int) parameters.stream()
                .filter(parameter -> parameter.description().kind() == ParameterKind.MATRIX)
                .count();
        int each = all / streams.blocks().size();
        return parameters.subList(1 + layer * each, 1 + (layer + 1) * each);
    }

    private static MemorySegment tokens(OwnedTensors memory, String name, int n) {
        return memory.tensor(Purpose.DATA, name, ElementType.I32, Shape.of(n)).segment();
    }
}
