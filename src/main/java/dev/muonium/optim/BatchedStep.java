package dev.muonium.optim;

import dev.muonium.bindings.mu.mu_step;
import dev.muonium.device.BatchKernels;
import dev.muonium.device.Device;
import dev.muonium.device.Recording;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.BatchedNewtonSchulz;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A step by launches over many arrays, recorded in the second step and then replayed: the records in, one sweep over all gradients, then for each batch
 * of Muon's matrices the momentum pass, the Newton-Schulz iteration and the update of the weights, then AdamW's arrays, and
 * {@code mu_step} out. Between steps only the records change: addresses of gradients, learning rates, clipping. Whether a step is left
 * out is decided on the device, so that the host waits once, at the end.
 *
 * <p>The workspace has a part for the sums of squares over chunks, and the part that {@link BatchedNewtonSchulz} asks for; the batches
 * take turns in it.
 *
 * <p>State that the host keeps comes through a {@link StateRing}, load by load: what touches state is launched once for each load of a batch, what does not
 * is launched as without a ring. The batches are the same, and so are the bits.
 */
final class BatchedStep implements StepPlan {
    private static final long ALIGNMENT = 256;

    private final Device device;
    private final List<Slot> slots;
    private final List<ElementType> gradientTypes;
    private final WeightRanges weights;
    private final List<MuonBatch> muon = new ArrayList<>();
    private final List<AdamWBatch> adamW = new ArrayList<>();
    private final StepRecords records;
    private final @Nullable StateRing ring;
    private final Tensor workspace;
    private @Nullable Recording recording;
    private final long gradientChunks;
    private final long bytes;
    private boolean hasRun;
    private long waitedNanos;
    private final Deque<Runnable> releases = new ArrayDeque<>();

    /**
     * What is launched for a load.
     *
     * @param number of the load
     * @param first the number of its first record
     * @param slots those of its records, of which a slot has several where it was cut
     * @param chunks of all of them
     * @param firstChunk the chunks before it in its batch
     */
    private record Launch<S extends Slot>(int number, int first, List<S> slots, long chunks, long firstChunk) {}

    /** Matrices that are updated together. */
    private record MuonBatch(
            MatrixKind kind, List<Launch<MuonSlot>> launches, long chunksPerMatrix, BatchedNewtonSchulz iteration) {}

    /** Arrays of AdamW that are updated together. */
    private record AdamWBatch(ArrayKind kind, List<Launch<AdamWSlot>> launches) {}

    /** Makes the ring for the loads of all batches, or none where the device keeps the state. */
    interface RingMaker {
        @Nullable
        StateRing make(StateLoads loads, List<List<Slot>> batches);
    }

    /**
     * @param cap the most bytes of workspace for the matrices of a batch, unless one alone needs more
     * @param stagingCap the most bytes of places for state that the host keeps, or 0 if the device keeps it
     */
    BatchedStep(Device device, List<Slot> active, long cap, long stagingCap, RingMaker rings) {
        this.device = device;
        this.slots = List.copyOf(active);
        this.gradientTypes =
                slots.stream().map(slot -> slot.parameter.gradientType()).toList();
        this.weights = new WeightRanges(slots);
        List<MuonSlot> matrices = ofType(MuonSlot.class);
        List<AdamWSlot> arrays = ofType(AdamWSlot.class);
        BatchPlan<MatrixKind> matrixPlan = BatchPlan.of(
                matrices.stream()
                        .map(slot -> new BatchPlan.Item<>(MatrixKind.of(slot), matrixBytes(device, slot)))
                        .toList(),
                cap);
        BatchPlan<ArrayKind> arrayPlan = BatchPlan.of(
                arrays.stream()
                        .map(slot -> new BatchPlan.Item<>(ArrayKind.of(slot), 0))
                        .toList(),
                0);
        List<List<Slot>> batches = new ArrayList<>();
        matrixPlan.batches().forEach(batch -> batches.add(members(batch, matrices)));
        arrayPlan.batches().forEach(batch -> batches.add(members(batch, arrays)));
        List<List<StateLoads.Arrays>> states = batches.stream()
                .map(batch -> batch.stream().map(StateLoads.Arrays::of).toList())
                .toList();
        StateLoads loads = stagingCap == 0 ? StateLoads.resident(states) : StateLoads.staged(states, stagingCap);
        try {
            this.records = new StepRecords(
                    device,
                    slots.size(),
                    parts(loads, 0, matrixPlan.batches().size()),
                    parts(loads, matrixPlan.batches().size(), batches.size()));
            releases.push(records::close);
            this.gradientChunks = records.describeGradients(slots);
            long sumBytes = aligned(Double.BYTES * Math.max(gradientChunks, mostChunks(matrixPlan, matrices)));
            this.workspace = device.allocate(
                    Purpose.OPTIMIZER_WORKSPACE,
                    "workspace of a step",
                    ElementType.U8,
                    Shape.of(sumBytes + matrixPlan.workspaceBytes()));
            releases.push(workspace::close);
            StateRing made = rings.make(loads, batches);
            this.ring = made;
            if (made != null) {
                releases.push(made::close);
            }
            long own = bindMatrices(matrixPlan, matrices, loads, sumBytes);
            bindArrays(arrayPlan, arrays, loads);
            this.bytes = records.byteSize() + workspace.byteSize() + own + (made == null ? 0 : made.byteSize());
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private <S extends Slot> List<S> ofType(Class<S> type) {
        return slots.stream().filter(type::isInstance).map(type::cast).toList();
    }

    private static List<Slot> members(BatchPlan.Batch<?> batch, List<? extends Slot> all) {
        List<Slot> members = new ArrayList<>();
        batch.members().forEach(member -> members.add(all.get(member)));
        return List.copyOf(members);
    }

    private static int parts(StateLoads loads, int firstBatch, int endBatch) {
        return loads.batches().subList(firstBatch, endBatch).stream()
                .flatMap(List::stream)
                .mapToInt(load -> load.parts().size())
                .sum();
    }

    private static long matrixBytes(Device device, MuonSlot slot) {
        return BatchedNewtonSchulz.workspaceBytes(slot.newtonSchulz, device, slot.rows, slot.cols);
    }

    private static long mostChunks(BatchPlan<MatrixKind> plan, List<MuonSlot> matrices) {
        long most = 0;
        for (BatchPlan.Batch<MatrixKind> batch : plan.batches()) {
            long chunks =
                    StepRecords.chunks(matrices.get(batch.members().getFirst()).elements());
            most = Math.max(most, batch.members().size() * chunks);
        }
        return most;
    }

    private static long aligned(long size) {
        return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private PlacedState placed(StateLoads.Load load, StateLoads.Part part, Slot slot) {
        return ring == null ? PlacedState.resident(slot) : PlacedState.in(ring, load.number(), part, slot);
    }

    /** Returns the bytes that the iterations own beside the workspace. */
    private long bindMatrices(BatchPlan<MatrixKind> plan, List<MuonSlot> matrices, StateLoads loads, long offset) {
        DeviceMemory memory = device.memory();
        long own = 0;
        int index = 0;
        for (int number = 0; number < plan.batches().size(); number++) {
            BatchPlan.Batch<MatrixKind> batch = plan.batches().get(number);
            MatrixKind kind = batch.key();
            List<MuonSlot> members = batch.members().stream().map(matrices::get).toList();
            BatchedNewtonSchulz iteration = BatchedNewtonSchulz.bind(
                    kind.newtonSchulz(),
                    device,
                    kind.rows(),
                    kind.cols(),
                    members.size(),
                    memory.slice(workspace.segment(), offset, batch.bytes()));
            releases.push(iteration::close);
            own += iteration.ownBytes();
            long matrixBytes = kind.rows() * kind.cols() * iteration.precision().byteSize();
            long stride = iteration.stride() * iteration.precision().byteSize();
            List<Launch<MuonSlot>> launches = new ArrayList<>();
            long firstChunk = 0;
            for (StateLoads.Load load : loads.batches().get(number)) {
                List<MuonSlot> parts = new ArrayList<>();
                int first = index;
                long chunk = 0;
                for (StateLoads.Part part : load.parts()) {
                    MuonSlot slot = members.get(part.member());
                    parts.add(slot);
                    records.describeMatrix(
                            index++,
                            slot,
                            part,
                            chunk,
                            placed(load, part, slot),
                            memory.slice(iteration.input(), part.member() * stride, matrixBytes),
                            memory.slice(iteration.output(), part.member() * stride, matrixBytes));
                    chunk += part.chunks();
                }
                launches.add(new Launch<>(load.number(), first, List.copyOf(parts), chunk, firstChunk));
                firstChunk += chunk;
            }
            muon.add(new MuonBatch(
                    kind, List.copyOf(launches), StepRecords.chunks(kind.rows() * kind.cols()), iteration));
        }
        return own;
    }

    private void bindArrays(BatchPlan<ArrayKind> plan, List<AdamWSlot> arrays, StateLoads loads) {
        int index = 0;
        int muonBatches = muon.size();
        for (int number = 0; number < plan.batches().size(); number++) {
            BatchPlan.Batch<ArrayKind> batch = plan.batches().get(number);
            List<AdamWSlot> members = batch.members().stream().map(arrays::get).toList();
            List<Launch<AdamWSlot>> launches = new ArrayList<>();
            long firstChunk = 0;
            for (StateLoads.Load load : loads.batches().get(muonBatches + number)) {
                List<AdamWSlot> parts = new ArrayList<>();
                int first = index;
                long chunk = 0;
                for (StateLoads.Part part : load.parts()) {
                    AdamWSlot slot = members.get(part.member());
                    parts.add(slot);
                    records.describeArray(index++, slot, part, chunk, placed(load, part, slot));
                    chunk += part.chunks();
                }
                launches.add(new Launch<>(load.number(), first, List.copyOf(parts), chunk, firstChunk));
                firstChunk += chunk;
            }
            adamW.add(new AdamWBatch(batch.key(), List.copyOf(launches)));
        }
    }

    /** Starts everything that a step does on the device; may be recorded where the ring can be. */
    private void enqueue() {
        BatchKernels kernels = device.batchKernels();
        MemorySegment step = records.step();
        MemorySegment sums = workspace.segment();
        if (ring != null) {
            ring.begin();
        }
        records.stageIn();
        kernels.gradientSweep(records.gradients(), slots.size(), gradientChunks, sums, step);
        for (MuonBatch batch : muon) {
            enqueue(batch, kernels, step, sums);
        }
        for (AdamWBatch batch : adamW) {
            for (Launch<AdamWSlot> launch : batch.launches()) {
                enqueue(batch.kind(), launch, kernels, step);
            }
        }
        if (ring != null) {
            ring.end();
        }
        records.stageOut();
    }

    private void enqueue(MuonBatch batch, BatchKernels kernels, MemorySegment step, MemorySegment sums) {
        MatrixKind kind = batch.kind();
        ElementType precision = batch.iteration().precision();
        for (Launch<MuonSlot> launch : batch.launches()) {
            use(launch);
            kernels.muonMomentum(
                    kind.format(),
                    kind.block(),
                    kind.gradientType(),
                    precision,
                    kind.nesterov(),
                    records.matrices(launch.first(), launch.slots().size()),
                    launch.slots().size(),
                    launch.chunks(),
                    step,
                    device.memory().slice(sums, Double.BYTES * launch.firstChunk(), Double.BYTES * launch.chunks()));
            used(launch);
        }
        batch.iteration().enqueue(sums, batch.chunksPerMatrix(), step);
        for (Launch<MuonSlot> launch : batch.launches()) {
            kernels.muonUpdate(
                    kind.weightType(),
                    precision,
                    records.matrices(launch.first(), launch.slots().size()),
                    launch.slots().size(),
                    launch.chunks(),
                    step);
        }
    }

    private void enqueue(ArrayKind kind, Launch<AdamWSlot> launch, BatchKernels kernels, MemorySegment step) {
        use(launch);
        kernels.adamW(
                kind.block(),
                kind.weightType(),
                kind.gradientType(),
                kind.mFormat(),
                kind.vFormat(),
                records.arrays(launch.first(), launch.slots().size()),
                launch.slots().size(),
                launch.chunks(),
                step);
        used(launch);
    }

    private void use(Launch<?> launch) {
        if (ring != null) {
            ring.use(launch.number());
        }
    }

    private void used(Launch<?> launch) {
        if (ring != null) {
            ring.used(launch.number());
        }
    }

    @Override
    public List<Slot> slots() {
        return slots;
    }

    @Override
    public WeightRanges weights() {
        return weights;
    }

    /** Types of gradients decide about batches, and are recorded. */
    @Override
    public boolean isCurrent() {
        for (int i = 0; i < slots.size(); i++) {
            if (slots.get(i).parameter.gradientType() != gradientTypes.get(i)) {
                return false;
            }
        }
        return true;
    }

    @Override
    public Decision run(double gradientScale, double clipNorm, long seed) {
        write(gradientScale, clipNorm, seed);
        try {
            launch();
            long begin = System.nanoTime();
            device.synchronize();
            if (ring != null) {
                ring.finish();
            }
            waitedNanos += System.nanoTime() - begin;
        } catch (RuntimeException | Error e) {
            if (ring != null) {
                ring.abandon();
            }
            throw e;
        }
        MemorySegment decided = records.decided();
        double norm = mu_step.norm(decided);
        double clip = mu_step.clip(decided);
        long nonFinite = mu_step.first_non_finite(decided);
        if (nonFinite >= slots.size()) {
            // Not a gradient's fault; refuses with the sentence.
            Ranges.requireFactor(SCALE_AFTER_CLIPPING, mu_step.scale(decided));
        }
        return new Decision(norm, clip, Math.toIntExact(nonFinite));
    }

    /**
     * The first step is started call by call, so that a GPU has loaded every kernel, and cuBLAS has made its choices, before the second
     * is recorded: neither likes to do so within a recording.
     */
    private void launch() {
        if (!hasRun || (ring != null && !ring.isRecordable())) {
            enqueue();
            hasRun = true;
            return;
        }
        if (recording == null) {
            recording = device.record(this::enqueue);
            releases.push(recording::close);
        }
        recording.replay();
    }

    private void write(double gradientScale, double clipNorm, long seed) {
        records.updateStep(gradientScale, clipNorm, seed);
        for (int i = 0; i < slots.size(); i++) {
            records.updateGradient(i, slots.get(i));
        }
        for (int i = 0; i < muon.size(); i++) {
            List<Launch<MuonSlot>> launches = muon.get(i).launches();
            for (int j = 0; j < launches.size(); j++) {
                Launch<MuonSlot> launch = launches.get(j);
                for (int k = 0; k < launch.slots().size(); k++) {
                    records.updateMatrix(launch.first() + k, launch.slots().get(k));
                }
            }
        }
        for (int i = 0; i < adamW.size(); i++) {
            List<Launch<AdamWSlot>> launches = adamW.get(i).launches();
            for (int j = 0; j < launches.size(); j++) {
                Launch<AdamWSlot> launch = launches.get(j);
                for (int k = 0; k < launch.slots().size(); k++) {
                    records.updateArray(launch.first() + k, launch.slots().get(k));
                }
            }
        }
    }

    @Override
    public long workspaceBytes() {
        return bytes;
    }

    @Override
    public long waitedNanos() {
        return waitedNanos;
    }

    @Override
    public void close() {
        while (!releases.isEmpty()) {
            releases.pop().run();
        }
    }
}
