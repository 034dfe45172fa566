package dev.muonium.nano;

import dev.muonium.checkpoint.LiveTensor;
import dev.muonium.checkpoint.Safetensors;
import dev.muonium.checkpoint.StateSource;
import dev.muonium.checkpoint.StoredTensor;
import dev.muonium.checkpoint.StoredType;
import dev.muonium.lowrank.LowRankOptimizer;
import dev.muonium.lowrank.Projection;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The projections of GaLore in a checkpoint: {@code <matrix>.projection}, {@code .looked_at}, and {@code .master_weights} where there are some. */
final class ProjectionSource implements StateSource {
    private static final String PART = "galore";
    private static final ValueLayout.OfLong COUNT = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final LowRankOptimizer lowRank;

    ProjectionSource(LowRankOptimizer lowRank) {
        this.lowRank = lowRank;
    }

    @Override
    public String part() {
        return PART;
    }

    @Override
    public List<LiveTensor> tensors() {
        List<LiveTensor> live = new ArrayList<>();
        for (Projection projection : lowRank.projections()) {
            MemorySegment lookedAt = Arena.ofAuto().allocate(ValueLayout.JAVA_LONG);
            lookedAt.set(COUNT, 0, projection.lookedAt());
            live.add(new LiveTensor(projection.name() + ".looked_at", StoredType.I64, List.of(), lookedAt));
            live.add(new LiveTensor(
                    projection.name() + ".projection",
                    StoredType.F32,
                    List.of(projection.rows(), (long) projection.rank()),
                    projection.values()));
            MemorySegment master = projection.masterWeights();
            if (master != null) {
                live.add(new LiveTensor(
                        projection.name() + ".master_weights", StoredType.F32, List.of(projection.elements()), master));
            }
        }
        return live;
    }

    @Override
    public Map<String, String> metadata() {
        return Map.of();
    }

    @Override
    public void check(Safetensors file) {
        for (LiveTensor here : tensors()) {
            StoredTensor there = file.find(here.name()).orElse(null);
            if (there == null || there.type() != here.type() || !there.shape().equals(here.shape())) {
                throw new IllegalArgumentException("'" + file.file() + "' has "
                        + (there == null
                                ? "no '" + here.name() + "'"
                                : "'" + here.name() + "' of shape " + there.shape())
                        + "; " + here.type() + " " + here.shape() + " is needed here");
            }
        }
    }

    @Override
    public void restore(Safetensors file) {
        for (Projection here : lowRank.projections()) {
            lowRank.restore(new Projection(
                    here.name(),
                    here.rows(),
                    here.rank(),
                    here.elements(),
                    file.tensor(here.name() + ".looked_at").data().get(COUNT, 0),
                    file.tensor(here.name() + ".projection").data(),
                    master(file, here)));
        }
    }

    private static @Nullable MemorySegment master(Safetensors file, Projection here) {
        return here.masterWeights() == null
                ? null
                : file.tensor(here.name() + ".master_weights").data();
    }
}
