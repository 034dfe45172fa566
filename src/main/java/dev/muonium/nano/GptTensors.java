package dev.muonium.nano;

import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * All that a model holds on its device, but for the scratch of attention where that is cut into tiles; {@code n = batch × context} rows.
 *
 * @param parameters weights and gradients, in the order of {@link GptConfig#parameters()}
 * @param tokens of the batch, {@code n}
 * @param targets the token that follows each
 * @param rotaryTable FP32, {@code context × headDim}
 * @param embedded normalized embeddings, {@code n × dModel}
 * @param embeddedRstd {@code n}
 * @param lastRstd of the norm before the head, {@code n}
 * @param blocks of each block
 * @param shared by all blocks
 * @param head of the head and its loss
 */
record GptTensors(
        List<GptParameter> parameters,
        MemorySegment tokens,
        MemorySegment targets,
        Tensor rotaryTable,
        MemorySegment embedded,
        MemorySegment embeddedRstd,
        MemorySegment lastRstd,
        List<BlockActivations> blocks,
        SharedActivations shared,
        HeadActivations head) {

    static GptTensors allocate(OwnedTensors memory, GptConfig config, int batch, Precision precision, Grain grain) {
        int n = batch * config.context();
        ElementType type = precision.compute();
        List<GptParameter> parameters = new ArrayList<>();
        for (ParameterDescription description : config.parameters()) {
            String name = description.name();
            parameters.add(new GptParameter(
                    description,
                    memory.tensor(Purpose.WEIGHTS, name, type, description.shape()),
                    memory.tensor(
                            Purpose.GRADIENTS, "gradient of " + name, precision.gradients(), description.shape())));
        }
        List<BlockActivations> blocks = new ArrayList<>();
        for (int layer = 0; layer < config.layers(); layer++) {
            blocks.add(BlockActivations.allocate(memory, config, type, layer, n));
        }
        return new GptTensors(
                List.copyOf(parameters),
                tokens(memory, "tokens", n),
                tokens(memory, "targets", n),
                memory.tensor(
                        Purpose.ACTIVATIONS,
                        "rotary table",
                        ElementType.F32,
                        Shape.of(config.context(), config.headDim())),
                memory.activations("embedded", type, n, config.dModel()),
                memory.activations("embedded rstd", ElementType.F32, n, 1),
                memory.activations("last rstd", ElementType.F32, n, 1),
                List.copyOf(blocks),
                SharedActivations.allocate(memory, config, type, n),
                HeadActivations.allocate(memory, config, type, grain, n));
    }

    private static MemorySegment tokens(OwnedTensors memory, String name, int n) {
        return memory.tensor(Purpose.DATA, name, ElementType.I32, Shape.of(n)).segment();
    }
}
