package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.ortho.BatchedNewtonSchulz;
import dev.muonium.ortho.Iteration;
import java.util.ArrayList;
import java.util.List;

/** How many bytes an {@link Optimizer} asks for, without making one. */
public final class OptimizerMemory {
    private OptimizerMemory() {}

    /** A parameter: the group that updates it, and the shape of its weights. */
    public record Planned(GroupSpec group, Shape shape) {}

    private record Matrices(Muon muon, Shape shape) {}

    private record Vectors(List<BlockFormat> formats, int block) {}

    /** The formats of a group's state: one for Muon, two for AdamW. */
    public static List<BlockFormat> stateFormats(GroupSpec group) {
        return switch (group) {
            case Muon muon -> List.of(muon.momentumFormat());
            case AdamW adamW -> List.of(adamW.mFormat(), adamW.vFormat());
        };
    }

    /** Elements per scale of a group's state. */
    public static int stateBlock(GroupSpec group) {
        return switch (group) {
            case Muon muon -> muon.block();
            case AdamW adamW -> adamW.block();
        };
    }

    /**
     * Muon's workspace in a step on a CPU.
     *
     * @param iterates the precision of Newton-Schulz: BF16 where it is fast, else F32
     * @param workers of the device
     * @param cap {@link Optimizer.Builder#workspaceCap}
     */
    public static long workspaceBytes(Muon group, List<Shape> matrices, ElementType iterates, int workers, long cap) {
        List<MuonPlan.Item> items = new ArrayList<>();
        for (int i = 0; i < matrices.size(); i++) {
            long rows = matrices.get(i).extent(0);
            long cols = matrices.get(i).extent(1);
            items.add(new MuonPlan.Item(
                    i,
                    MuonPass.cost(rows, cols),
                    Iteration.workspaceBytes(group.newtonSchulz(true), iterates, rows, cols)));
        }
        return MuonPlan.of(items, workers, cap).workspaceBytes();
    }

    /** What a matrix takes of Muon's workspace on a GPU, where those of a shape are worked on together, as many as the cap allows. */
    public static long workspaceBytesOnGpu(Muon group, Shape matrix, ElementType iterates) {
        return BatchedNewtonSchulz.workspaceBytes(
                group.newtonSchulz(false), iterates, matrix.extent(0), matrix.extent(1));
    }

    /**
     * The places on a GPU that state passes through which the host keeps, and as many bytes of page-locked memory where a file has it.
     *
     * @param parameters in the order in which the optimizer gets them, of one type of weights and one of gradients
     * @param iterates the precision of Newton-Schulz
     * @param cap {@link Optimizer.Builder#workspaceCap}, on which depends what is worked on together
     */
    public static long stagingBytes(List<Planned> parameters, ElementType iterates, long cap) {
        List<List<StateLoads.Arrays>> batches = new ArrayList<>();
        List<Planned> matrices =
                parameters.stream().filter(one -> one.group() instanceof Muon).toList();
        BatchPlan.of(
                        matrices.stream()
                                .map(one -> matrix((Muon) one.group(), one.shape(), iterates))
                                .toList(),
                        cap)
                .batches()
                .forEach(batch -> batches.add(arrays(batch, matrices)));
        List<Planned> vectors = parameters.stream()
                .filter(one -> !(one.group() instanceof Muon))
                .toList();
        BatchPlan.of(
                        vectors.stream()
                                .map(one -> new BatchPlan.Item<>(
                                        new Vectors(stateFormats(one.group()), stateBlock(one.group())), 0))
                                .toList(),
                        0)
                .batches()
                .forEach(batch -> batches.add(arrays(batch, vectors)));
        return StateLoads.staged(batches, StateLoads.CAP).stagingBytes();
    }

    private static BatchPlan.Item<Matrices> matrix(Muon muon, Shape shape, ElementType iterates) {
        return new BatchPlan.Item<>(new Matrices(muon, shape), workspaceBytesOnGpu(muon, shape, iterates));
    }

    private static List<StateLoads.Arrays> arrays(BatchPlan.Batch<?> batch, List<Planned> all) {
        return batch.members().stream()
                .map(all::get)
                .map(one -> new StateLoads.Arrays(
                        one.shape().elements(), stateFormats(one.group()), stateBlock(one.group())))
                .toList();
    }
}
