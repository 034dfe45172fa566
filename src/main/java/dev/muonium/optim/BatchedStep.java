package dev.muonium.optim;

import dev.muonium.bindings.mu.mu_step;
import dev.muonium.device.BatchKernels;
import dev.muonium.device.Device;
import dev.muonium.device.Recording;
import dev.muonium.events.Events;
import dev.muonium.events.OrthogonalizationEvent;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.BatchedNewtonSchulz;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
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
 * <p>Blocks of state that reach over borders of matrices ({@link BorderBlocks}) have their momentum pass before all batches. Matrices beside them get the rest of theirs, the
 * elements of u from those blocks by copies, and the sum of their squares in a launch of its own.
 *
 * <p>State that the host keeps comes through a {@link StateRing}, load by load: what touches state is launched once for each load of a batch, what does not
 * is launched as without a ring. The batches are the same, and so are the bits.
 */
final class BatchedStep implements StepPlan {
    private static final long ALIGNMENT = 256;
    private static final int NO_LOAD = -1;

    private final Device device;
    private final List<Slot> slots;
    private final List<ElementType> gradientTypes;
    private final WeightRanges weights;
    private final List<BorderBatch> borders = new ArrayList<>();
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
     * What is launched at a time.
     *
     * @param load its number, or {@link #NO_LOAD} where no state is needed
     * @param first the number of its first record
     * @param members those of its records, of which one has several where its state was cut
     * @param chunks of all of them
     * @param firstChunk the chunks before it in its batch
     */
    private record Launch<M>(int load, int first, List<M> members, long chunks, long firstChunk) {}

    /** Blocks over borders of matrices that are updated together. */
    private record BorderBatch(MomentumKind kind, List<Launch<StateSpan>> launches) {}

    /** Elements of u that a block over a border gave. */
    private record Edge(MemorySegment from, MemorySegment to, long bytes) {}

    /**
     * Matrices that are updated together.
     *
     * @param updates of weights: those of momentum, but where a matrix has edges
     * @param edges of all of them
     */
    private record MuonBatch(
            MatrixKind kind,
            List<Launch<MuonPiece>> momentum,
            List<Launch<MuonPiece>> updates,
            List<Edge> edges,
            long matrices,
            BatchedNewtonSchulz iteration) {
        long elements() {
            return kind.rows() * kind.cols();
        }
    }

    /** Arrays of AdamW that are updated together. */
    private record AdamWBatch(ArrayKind kind, List<Launch<AdamWSlot>> launches) {}

    /** Makes the ring for the loads of all batches, or none where the device keeps the state. */
    interface RingMaker {
        @Nullable
        StateRing make(StateLoads loads, List<List<StateSpan>> batches);
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
        List<StateSpan> blocks = ofType(MuonSlot.class).stream()
                .flatMap(slot -> BorderBlocks.of(slot).stream())
                .toList();
        List<MuonPiece> matrices = ofType(MuonSlot.class).stream()
                .flatMap(slot -> slot.pieces.stream())
                .toList();
        List<AdamWSlot> arrays = ofType(AdamWSlot.class);
        BatchPlan<MomentumKind> borderPlan = BatchPlan.of(
                blocks.stream()
                        .map(block -> new BatchPlan.Item<>(MomentumKind.of(device, (MuonSlot) block.slot()), 0))
                        .toList(),
                0);
        BatchPlan<MatrixKind> matrixPlan = BatchPlan.of(
                matrices.stream()
                        .map(piece -> new BatchPlan.Item<>(MatrixKind.of(piece), matrixBytes(device, piece)))
                        .toList(),
                cap);
        BatchPlan<ArrayKind> arrayPlan = BatchPlan.of(
                arrays.stream()
                        .map(slot -> new BatchPlan.Item<>(ArrayKind.of(slot), 0))
                        .toList(),
                0);
        List<List<StateSpan>> batches = new ArrayList<>();
        borderPlan.batches().forEach(batch -> batches.add(members(batch, blocks)));
        matrixPlan
                .batches()
                .forEach(batch -> batches.add(members(
                        batch, matrices.stream().map(piece -> piece.inner).toList())));
        arrayPlan
                .batches()
                .forEach(batch -> batches.add(
                        members(batch, arrays.stream().map(StateSpan::of).toList())));
        int firstArrays = borderPlan.batches().size() + matrixPlan.batches().size();
        List<List<StateLoads.Arrays>> states = batches.stream()
                .map(batch -> batch.stream().map(StateLoads.Arrays::of).toList())
                .toList();
        StateLoads loads = stagingCap == 0 ? StateLoads.resident(states) : StateLoads.staged(states, stagingCap);
        try {
            int edged = (int) matrices.stream().filter(MuonPiece::isEdged).count();
            this.records = new StepRecords(
                    device,
                    slots.size(),
                    parts(loads, 0, firstArrays) + edged,
                    parts(loads, firstArrays, batches.size()));
            releases.push(records::close);
            this.gradientChunks = records.describeGradients(slots);
            long sums = Math.max(gradientChunks, Math.max(blocks.size(), mostChunks(matrixPlan, matrices)));
            long sumBytes = aligned(Double.BYTES * sums);
            long edgeBytes = blocks.stream()
                    .mapToLong(block -> BorderBlocks.bytes((MuonSlot) block.slot()))
                    .sum();
            this.workspace = device.allocate(
                    Purpose.OPTIMIZER_WORKSPACE,
                    "workspace of a step",
                    ElementType.U8,
                    Shape.of(sumBytes + matrixPlan.workspaceBytes() + edgeBytes));
            releases.push(workspace::close);
            StateRing made = rings.make(loads, batches);
            this.ring = made;
            if (made != null) {
                releases.push(made::close);
            }
            Map<StateSpan, MemorySegment> edges = placeEdges(blocks, sumBytes + matrixPlan.workspaceBytes());
            int index = bindBorders(borderPlan, blocks, loads, edges);
            long own = bindMatrices(matrixPlan, matrices, loads, sumBytes, edges, index);
            bindArrays(arrayPlan, arrays, loads, firstArrays);
            this.bytes = records.byteSize() + workspace.byteSize() + own + (made == null ? 0 : made.byteSize());
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private <S extends Slot> List<S> ofType(Class<S> type) {
        return slots.stream().filter(type::isInstance).map(type::cast).toList();
    }

    private static <M> List<M> members(BatchPlan.Batch<?> batch, List<M> all) {
        return batch.members().stream().map(all::get).toList();
    }

    private static int parts(StateLoads loads, int firstBatch, int endBatch) {
        return loads.batches().subList(firstBatch, endBatch).stream()
                .flatMap(List::stream)
                .mapToInt(load -> load.parts().size())
                .sum();
    }

    private static long matrixBytes(Device device, MuonPiece piece) {
        return BatchedNewtonSchulz.workspaceBytes(piece.slot.newtonSchulz, device, piece.rows, piece.cols);
    }

    private static long mostChunks(BatchPlan<MatrixKind> plan, List<MuonPiece> matrices) {
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

    private PlacedState placed(StateLoads.Load load, StateLoads.Part part, StateSpan span) {
        return ring == null ? PlacedState.resident(span) : PlacedState.in(ring, load.number(), part, span);
    }

    /** Where u of each block over a border waits. */
    private Map<StateSpan, MemorySegment> placeEdges(List<StateSpan> blocks, long offset) {
        Map<StateSpan, MemorySegment> edges = new HashMap<>();
        long next = offset;
        for (StateSpan block : blocks) {
            long blockBytes = BorderBlocks.bytes((MuonSlot) block.slot());
            edges.put(block, device.memory().slice(workspace.segment(), next, blockBytes));
            next += blockBytes;
        }
        return edges;
    }

    /** Returns the number of the first record behind theirs. */
    private int bindBorders(
            BatchPlan<MomentumKind> plan,
            List<StateSpan> blocks,
            StateLoads loads,
            Map<StateSpan, MemorySegment> edges) {
        int index = 0;
        for (int number = 0; number < plan.batches().size(); number++) {
            BatchPlan.Batch<MomentumKind> batch = plan.batches().get(number);
            List<StateSpan> members = members(batch, blocks);
            List<Launch<StateSpan>> launches = new ArrayList<>();
            for (StateLoads.Load load : loads.batches().get(number)) {
                List<StateSpan> parts = new ArrayList<>();
                int first = index;
                long chunk = 0;
                for (StateLoads.Part part : load.parts()) {
                    StateSpan span = members.get(part.member());
                    parts.add(span);
                    records.describeMomentum(
                            index++, part, chunk, placed(load, part, span), Objects.requireNonNull(edges.get(span)));
                    chunk += part.chunks();
                }
                launches.add(new Launch<>(load.number(), first, List.copyOf(parts), chunk, 0));
            }
            borders.add(new BorderBatch(batch.key(), List.copyOf(launches)));
        }
        return index;
    }

    /** Returns the bytes that the iterations own beside the workspace. */
    private long bindMatrices(
            BatchPlan<MatrixKind> plan,
            List<MuonPiece> matrices,
            StateLoads loads,
            long offset,
            Map<StateSpan, MemorySegment> edges,
            int firstRecord) {
        long own = 0;
        int index = firstRecord;
        for (int number = 0; number < plan.batches().size(); number++) {
            BatchPlan.Batch<MatrixKind> batch = plan.batches().get(number);
            MatrixKind kind = batch.key();
            List<MuonPiece> members = members(batch, matrices);
            BatchedNewtonSchulz iteration = BatchedNewtonSchulz.bind(
                    kind.newtonSchulz(),
                    device,
                    kind.rows(),
                    kind.cols(),
                    members.size(),
                    device.memory().slice(workspace.segment(), offset, batch.bytes()));
            releases.push(iteration::close);
            own += iteration.ownBytes();
            List<Launch<MuonPiece>> momentum =
                    bindMomentum(members, loads.batches().get(borders.size() + number), iteration, index);
            index += momentum.stream()
                    .mapToInt(launch -> launch.members().size())
                    .sum();
            List<Launch<MuonPiece>> updates = momentum;
            if (kind.edged()) {
                updates = List.of(bindUpdate(members, iteration, index));
                index += members.size();
            }
            muon.add(new MuonBatch(
                    kind, momentum, updates, edges(members, iteration, edges), members.size(), iteration));
        }
        return own;
    }

    /** Describes momentum, and the update of weights with it where a matrix has no edges. */
    private List<Launch<MuonPiece>> bindMomentum(
            List<MuonPiece> members, List<StateLoads.Load> loads, BatchedNewtonSchulz iteration, int firstRecord) {
        List<Launch<MuonPiece>> launches = new ArrayList<>();
        int index = firstRecord;
        long firstChunk = 0;
        for (StateLoads.Load load : loads) {
            List<MuonPiece> parts = new ArrayList<>();
            int first = index;
            long chunk = 0;
            for (StateLoads.Part part : load.parts()) {
                MuonPiece piece = members.get(part.member());
                parts.add(piece);
                MemorySegment u =
                        elements(iteration, iteration.input(), part.member(), piece.lead(), piece.inner.elements());
                records.describeMomentum(index, part, chunk, placed(load, part, piece.inner), u);
                if (!piece.isEdged()) {
                    records.describeWeights(index, piece, part, chunk, output(iteration, part.member(), piece));
                }
                index++;
                chunk += part.chunks();
            }
            launches.add(new Launch<>(load.number(), first, List.copyOf(parts), chunk, firstChunk));
            firstChunk += chunk;
        }
        return List.copyOf(launches);
    }

    private Launch<MuonPiece> bindUpdate(List<MuonPiece> members, BatchedNewtonSchulz iteration, int first) {
        long chunk = 0;
        for (int i = 0; i < members.size(); i++) {
            MuonPiece piece = members.get(i);
            StateLoads.Part all = new StateLoads.Part(i, 0, piece.elements(), 0);
            records.describeWeights(first + i, piece, all, chunk, output(iteration, i, piece));
            chunk += all.chunks();
        }
        return new Launch<>(NO_LOAD, first, members, chunk, 0);
    }

    private List<Edge> edges(
            List<MuonPiece> members, BatchedNewtonSchulz iteration, Map<StateSpan, MemorySegment> blocks) {
        List<Edge> edges = new ArrayList<>();
        long size = iteration.precision().byteSize();
        for (int i = 0; i < members.size(); i++) {
            MuonPiece piece = members.get(i);
            if (piece.lead() > 0) {
                StateSpan block = piece.leadBlock();
                long bytes = piece.lead() * size;
                MemorySegment from = device.memory()
                        .slice(Objects.requireNonNull(blocks.get(block)), (piece.begin - block.begin()) * size, bytes);
                edges.add(new Edge(from, elements(iteration, iteration.input(), i, 0, piece.lead()), bytes));
            }
            if (piece.tail() > 0) {
                long bytes = piece.tail() * size;
                MemorySegment from =
                        device.memory().slice(Objects.requireNonNull(blocks.get(piece.tailBlock())), 0, bytes);
                long first = piece.elements() - piece.tail();
                edges.add(new Edge(from, elements(iteration, iteration.input(), i, first, piece.tail()), bytes));
            }
        }
        return List.copyOf(edges);
    }

    private MemorySegment output(BatchedNewtonSchulz iteration, int member, MuonPiece piece) {
        return elements(iteration, iteration.output(), member, 0, piece.elements());
    }

    /** A range of a matrix among those of an iteration. */
    private MemorySegment elements(
            BatchedNewtonSchulz iteration, MemorySegment stack, int member, long begin, long count) {
        long size = iteration.precision().byteSize();
        return device.memory().slice(stack, (member * iteration.stride() + begin) * size, count * size);
    }

    private void bindArrays(BatchPlan<ArrayKind> plan, List<AdamWSlot> arrays, StateLoads loads, int firstBatch) {
        int index = 0;
        for (int number = 0; number < plan.batches().size(); number++) {
            BatchPlan.Batch<ArrayKind> batch = plan.batches().get(number);
            List<AdamWSlot> members = members(batch, arrays);
            List<Launch<AdamWSlot>> launches = new ArrayList<>();
            long firstChunk = 0;
            for (StateLoads.Load load : loads.batches().get(firstBatch + number)) {
                List<AdamWSlot> parts = new ArrayList<>();
                int first = index;
                long chunk = 0;
                for (StateLoads.Part part : load.parts()) {
                    AdamWSlot slot = members.get(part.member());
                    parts.add(slot);
                    records.describeArray(index++, slot, part, chunk, placed(load, part, StateSpan.of(slot)));
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
        for (BorderBatch batch : borders) {
            MomentumKind kind = batch.kind();
            for (Launch<StateSpan> launch : batch.launches()) {
                enqueueMomentum(kind, launch, kernels, step, sums);
            }
        }
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
        BatchedNewtonSchulz iteration = batch.iteration();
        MomentumKind kind = batch.kind().momentum(iteration.precision());
        for (Launch<MuonPiece> launch : batch.momentum()) {
            enqueueMomentum(kind, launch, kernels, step, sums);
        }
        long sumsPerMatrix = StepRecords.chunks(batch.elements());
        if (batch.kind().edged()) {
            sumsPerMatrix = 1;
            enqueueEdges(batch, kernels, sums);
        }
        iteration.enqueue(sums, sumsPerMatrix, step);
        for (Launch<MuonPiece> launch : batch.updates()) {
            kernels.muonUpdate(
                    batch.kind().weightType(),
                    iteration.precision(),
                    records.matrices(launch.first(), launch.members().size()),
                    launch.members().size(),
                    launch.chunks(),
                    step);
        }
    }

    private void enqueueMomentum(
            MomentumKind kind, Launch<?> launch, BatchKernels kernels, MemorySegment step, MemorySegment sums) {
        use(launch);
        kernels.muonMomentum(
                kind.format(),
                kind.block(),
                kind.gradientType(),
                kind.precision(),
                kind.nesterov(),
                records.matrices(launch.first(), launch.members().size()),
                launch.members().size(),
                launch.chunks(),
                step,
                device.memory().slice(sums, Double.BYTES * launch.firstChunk(), Double.BYTES * launch.chunks()));
        used(launch);
    }

    /** Completes u of matrices with edges, and their sums of squares: one for each. */
    private void enqueueEdges(MuonBatch batch, BatchKernels kernels, MemorySegment sums) {
        BatchedNewtonSchulz iteration = batch.iteration();
        for (Edge edge : batch.edges()) {
            device.memory().copy(edge.from(), 0, edge.to(), 0, edge.bytes());
        }
        for (int i = 0; i < batch.matrices(); i++) {
            kernels.sumSquares(
                    elements(iteration, iteration.input(), i, 0, batch.elements()),
                    iteration.precision(),
                    0,
                    batch.elements(),
                    device.memory().slice(sums, (long) i * Double.BYTES, Double.BYTES));
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
                records.arrays(launch.first(), launch.members().size()),
                launch.members().size(),
                launch.chunks(),
                step);
        used(launch);
    }

    private void use(Launch<?> launch) {
        if (ring != null) {
            ring.use(launch.load());
        }
    }

    private void used(Launch<?> launch) {
        if (ring != null) {
            ring.used(launch.load());
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
        commitEvents(nonFinite < 0);
        return new Decision(norm, clip, Math.toIntExact(nonFinite));
    }

    /** Of what a recorder wants to know but a graph does not time. */
    private void commitEvents(boolean taken) {
        for (int i = 0; taken && i < muon.size(); i++) {
            OrthogonalizationEvent event = Events.orthogonalization();
            if (event == null) {
                break;
            }
            MuonBatch batch = muon.get(i);
            StepEvents.commit(
                    event,
                    batch.updates().getFirst().members().getFirst().slot,
                    batch.matrices(),
                    batch.kind().rows(),
                    batch.kind().cols(),
                    batch.iteration().way(),
                    batch.iteration().precision(),
                    false);
        }
        if (ring != null) {
            ring.commitEvents();
        }
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
        for (int i = 0; i < borders.size(); i++) {
            List<Launch<StateSpan>> launches = borders.get(i).launches();
            for (int j = 0; j < launches.size(); j++) {
                Launch<StateSpan> launch = launches.get(j);
                for (int k = 0; k < launch.members().size(); k++) {
                    records.updateMomentum(launch.first() + k, launch.members().get(k));
                }
            }
        }
        for (int i = 0; i < muon.size(); i++) {
            writeMomentum(muon.get(i).momentum());
            writeUpdates(muon.get(i).updates());
        }
        for (int i = 0; i < adamW.size(); i++) {
            List<Launch<AdamWSlot>> launches = adamW.get(i).launches();
            for (int j = 0; j < launches.size(); j++) {
                Launch<AdamWSlot> launch = launches.get(j);
                for (int k = 0; k < launch.members().size(); k++) {
                    records.updateArray(launch.first() + k, launch.members().get(k));
                }
            }
        }
    }

    private void writeMomentum(List<Launch<MuonPiece>> launches) {
        for (int j = 0; j < launches.size(); j++) {
            Launch<MuonPiece> launch = launches.get(j);
            for (int k = 0; k < launch.members().size(); k++) {
                records.updateMomentum(launch.first() + k, launch.members().get(k).inner);
            }
        }
    }

    private void writeUpdates(List<Launch<MuonPiece>> launches) {
        for (int j = 0; j < launches.size(); j++) {
            Launch<MuonPiece> launch = launches.get(j);
            for (int k = 0; k < launch.members().size(); k++) {
                records.updateWeights(launch.first() + k, launch.members().get(k));
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
