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
    private final Tensor workspace;
    private @Nullable Recording recording;
    private final long gradientChunks;
    private final long bytes;
    private boolean hasRun;
    private long waitedNanos;
    private final Deque<Runnable> releases = new ArrayDeque<>();

    /** Matrices that are updated together; {@code first} is the number of their first record. */
    private record MuonBatch(
            MatrixKind kind, int first, List<MuonSlot> slots, long chunksPerMatrix, BatchedNewtonSchulz iteration) {
        long chunks() {
            return slots.size() * chunksPerMatrix;
        }
    }

    /** Arrays of AdamW that are updated together. */
    private record AdamWBatch(ArrayKind kind, int first, List<AdamWSlot> slots, long chunks) {}

    /**
     * @param cap the most bytes of workspace for the matrices of a batch, unless one alone needs more
     */
    BatchedStep(Device device, List<Slot> active, long cap) {
        this.device = device;
        this.slots = List.copyOf(active);
        this.gradientTypes =
                slots.stream().map(slot -> slot.parameter.gradientType()).toList();
        this.weights = new WeightRanges(slots);
        List<MuonSlot> matrices = ofType(MuonSlot.class);
        List<AdamWSlot> arrays = ofType(AdamWSlot.class);
        BatchPlan<MatrixKind> plan = BatchPlan.of(
                matrices.stream()
                        .map(slot -> new BatchPlan.Item<>(MatrixKind.of(slot), matrixBytes(device, slot)))
                        .toList(),
                cap);
        try {
            this.records = new StepRecords(device, slots.size(), matrices.size(), arrays.size());
            releases.push(records::close);
            this.gradientChunks = records.describeGradients(slots);
            long sumBytes = aligned(Double.BYTES * Math.max(gradientChunks, mostChunks(plan, matrices)));
            this.workspace = device.allocate(
                    Purpose.OPTIMIZER_WORKSPACE,
                    "workspace of a step",
                    ElementType.U8,
                    Shape.of(sumBytes + plan.workspaceBytes()));
            releases.push(workspace::close);
            long own = bindMatrices(plan, matrices, sumBytes);
            bindArrays(arrays);
            this.bytes = records.byteSize() + workspace.byteSize() + own;
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private <S extends Slot> List<S> ofType(Class<S> type) {
        return slots.stream().filter(type::isInstance).map(type::cast).toList();
    }

    private static long matrixBytes(Device device, MuonSlot slot) {
        return BatchedNewtonSchulz.workspaceBytes(slot.spec.newtonSchulz(), device, slot.rows, slot.cols);
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

    /** Returns the bytes that the iterations own beside the workspace. */
    private long bindMatrices(BatchPlan<MatrixKind> plan, List<MuonSlot> matrices, long offset) {
        DeviceMemory memory = device.memory();
        long own = 0;
        int index = 0;
        for (BatchPlan.Batch<MatrixKind> batch : plan.batches()) {
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
            long chunks = StepRecords.chunks(kind.rows() * kind.cols());
            muon.add(new MuonBatch(kind, index, members, chunks, iteration));
            long matrixBytes = kind.rows() * kind.cols() * iteration.precision().byteSize();
            long stride = iteration.stride() * iteration.precision().byteSize();
            for (int i = 0; i < members.size(); i++) {
                records.describeMatrix(
                        index++,
                        members.get(i),
                        i * chunks,
                        memory.slice(iteration.input(), i * stride, matrixBytes),
                        memory.slice(iteration.output(), i * stride, matrixBytes));
            }
        }
        return own;
    }

    private void bindArrays(List<AdamWSlot> arrays) {
        BatchPlan<ArrayKind> plan = BatchPlan.of(
                arrays.stream()
                        .map(slot -> new BatchPlan.Item<>(ArrayKind.of(slot), 0))
                        .toList(),
                0);
        int index = 0;
        for (BatchPlan.Batch<ArrayKind> batch : plan.batches()) {
            List<AdamWSlot> members = batch.members().stream().map(arrays::get).toList();
            int first = index;
            long chunk = 0;
            for (AdamWSlot slot : members) {
                records.describeArray(index++, slot, chunk);
                chunk += StepRecords.chunks(slot.elements());
            }
            adamW.add(new AdamWBatch(batch.key(), first, members, chunk));
        }
    }

    /** Starts everything that a step does on the device; may be recorded. */
    private void enqueue() {
        BatchKernels kernels = device.batchKernels();
        MemorySegment step = records.step();
        MemorySegment sums = workspace.segment();
        records.stageIn();
        kernels.gradientSweep(records.gradients(), slots.size(), gradientChunks, sums, step);
        for (MuonBatch batch : muon) {
            enqueue(batch, kernels, step, sums);
        }
        for (AdamWBatch batch : adamW) {
            ArrayKind kind = batch.kind();
            kernels.adamW(
                    kind.block(),
                    kind.weightType(),
                    kind.gradientType(),
                    kind.mFormat(),
                    kind.vFormat(),
                    records.arrays(batch.first(), batch.slots().size()),
                    batch.slots().size(),
                    batch.chunks(),
                    step);
        }
        records.stageOut();
    }

    private void enqueue(MuonBatch batch, BatchKernels kernels, MemorySegment step, MemorySegment sums) {
        MatrixKind kind = batch.kind();
        ElementType precision = batch.iteration().precision();
        int count = batch.slots().size();
        MemorySegment items = records.matrices(batch.first(), count);
        kernels.muonMomentum(
                kind.format(),
                kind.block(),
                kind.gradientType(),
                precision,
                kind.nesterov(),
                items,
                count,
                batch.chunks(),
                step,
                sums);
        batch.iteration().enqueue(sums, batch.chunksPerMatrix(), step);
        kernels.muonUpdate(kind.weightType(), precision, items, count, batch.chunks(), step);
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
        launch();
        long begin = System.nanoTime();
        device.synchronize();
        waitedNanos += System.nanoTime() - begin;
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
        if (!hasRun) {
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
            MuonBatch batch = muon.get(i);
            for (int j = 0; j < batch.slots().size(); j++) {
                records.updateMatrix(batch.first() + j, batch.slots().get(j));
            }
        }
        for (int i = 0; i < adamW.size(); i++) {
            AdamWBatch batch = adamW.get(i);
            for (int j = 0; j < batch.slots().size(); j++) {
                records.updateArray(batch.first() + j, batch.slots().get(j));
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
