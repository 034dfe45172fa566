package dev.muonium.nano;

import dev.muonium.activations.CodedActivations;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * What a model's blocks keep between forward and backward, and what they share; {@code n} rows.
 *
 * <ul>
 *   <li>Without a technique all blocks are one segment, and each has activations of its own.
 *   <li>With activation checkpointing every {@code k} blocks, all segments share the activations of {@code k} blocks, and what is kept is the
 *       residual stream before each segment.
 *   <li>With activations in FP8, what is kept waits in E4M3, and what it is computed in is shared: by all blocks, or, with checkpointing as well, by
 *       all segments; the residual streams between them take turns in two arrays.
 * </ul>
 *
 * @param streams the residual stream before each block, and behind the last, {@code n × dModel} each
 * @param blocks what each block computes with
 * @param segments all blocks, in their order
 */
record StreamMemory(List<MemorySegment> streams, List<BlockActivations> blocks, List<BlockSegment> segments) {

    static StreamMemory allocate(OwnedTensors memory, GptConfig config, GptOptions options, Grain grain, long n) {
        return new Builder(memory, config, options, grain, n).build();
    }

    /** Gathers the lists. */
    private static final class Builder {
        private final OwnedTensors memory;
        private final GptConfig config;
        private final ElementType type;
        private final Grain grain;
        private final long n;
        private final int layers;
        private final int length;
        private final int count;
        private final boolean recomputes;
        private final boolean codes;
        private final List<MemorySegment> streams = new ArrayList<>();
        private final List<BlockActivations> blocks = new ArrayList<>();
        private final List<BlockSegment> segments = new ArrayList<>();

        Builder(OwnedTensors memory, GptConfig config, GptOptions options, Grain grain, long n) {
            this.memory = memory;
            this.config = config;
            this.type = options.precision().compute();
            this.grain = grain;
            this.n = n;
            this.layers = config.layers();
            this.recomputes = options.checkpointedBlocks() > 0;
            this.codes = options.fp8Activations();
            int wanted = recomputes ? options.checkpointedBlocks() : codes ? 1 : layers;
            this.length = Math.min(wanted, layers);
            this.count = (layers + length - 1) / length;
        }

        StreamMemory build() {
            allocateStreams();
            allocateBlocks();
            for (int segment = 0; segment < count; segment++) {
                int first = segment * length;
                boolean last = segment == count - 1;
                segments.add(new BlockSegment(
                        first,
                        Math.min(layers, first + length),
                        codes && !last ? coded(first) : null,
                        recomputes && !last));
            }
            return new StreamMemory(List.copyOf(streams), List.copyOf(blocks), List.copyOf(segments));
        }

        private void allocateStreams() {
            int borders = codes ? Math.min(2, count + 1) : count + 1;
            List<MemorySegment> between = new ArrayList<>();
            for (int i = 0; i < borders; i++) {
                between.add(stream(i == 0 ? "embedded" : "stream behind block " + (Math.min(layers, i * length) - 1)));
            }
            List<MemorySegment> within = new ArrayList<>();
            for (int i = 1; i < length; i++) {
                within.add(stream("stream within a segment, " + i));
            }
            for (int block = 0; block < layers; block++) {
                int place = block % length;
                streams.add(place == 0 ? between.get(block / length % borders) : within.get(place - 1));
            }
            streams.add(between.get(count % borders));
        }

        private MemorySegment stream(String name) {
            return memory.activations(name, type, n, config.dModel());
        }

        private void allocateBlocks() {
            boolean sumsOfTheirOwn = codes && !recomputes;
            for (int block = 0; block < layers; block++) {
                String owner = "blocks." + block;
                boolean shares = block >= length;
                BlockActivations.Rows rows = shares
                        ? blocks.get(block % length).rows()
                        : BlockActivations.Rows.allocate(memory, config, type, owner, n);
                BlockActivations.Sums sums = shares && !sumsOfTheirOwn
                        ? blocks.get(block % length).sums()
                        : BlockActivations.Sums.allocate(memory, config, owner, n);
                blocks.add(new BlockActivations(rows, sums));
            }
        }

        /** The input of a segment, and what its block computed unless that is computed again. */
        private CodedActivations coded(int first) {
            CodedActivations coded = new CodedActivations(memory, type, BlockFormat.FP8_E4M3, grain == Grain.WHOLE);
            String owner = "blocks." + first;
            coded.add(owner + ".input", streams.get(first), n * config.dModel());
            if (!recomputes) {
                List<MemorySegment> rows = blocks.get(first).rows().all();
                List<Integer> widths = BlockActivations.Rows.widths(config);
                for (int i = 0; i < rows.size(); i++) {
                    coded.add(owner + ".activation " + i, rows.get(i), n * widths.get(i));
                }
            }
            return coded;
        }
    }
}
