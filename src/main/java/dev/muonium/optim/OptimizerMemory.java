package dev.muonium.optim;

import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Shape;
import dev.muonium.ortho.Iteration;
import java.util.ArrayList;
import java.util.List;

/** How many bytes an {@link Optimizer} on a CPU asks for, without making one. */
public final class OptimizerMemory {
    private OptimizerMemory() {}

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
     * Muon's workspace in a step.
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
                    Iteration.workspaceBytes(group.newtonSchulz(), iterates, rows, cols)));
        }
        return MuonPlan.of(items, workers, cap).workspaceBytes();
    }
}
