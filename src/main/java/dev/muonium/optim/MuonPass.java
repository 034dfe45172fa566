package dev.muonium.optim;

import dev.muonium.device.Device;
import dev.muonium.device.Kernels;
import dev.muonium.device.Task;
import dev.muonium.events.Events;
import dev.muonium.events.OrthogonalizationEvent;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import dev.muonium.ortho.Iteration;
import dev.muonium.ortho.NewtonSchulz;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * Muon over all its matrices: the momentum pass writes u to the workspace and adds up its norm, the Newton-Schulz iteration makes O
 * of it, the weights are updated. What runs where is a {@link MuonPlan}'s business and does not show in the result.
 */
final class MuonPass implements AutoCloseable {
    private final Device device;
    private final Border[] borders;
    private final Matrix[] shared;
    private final Matrix[] laned;
    private final int lanes;
    private final @Nullable Tensor workspace;
    private final @Nullable StateFile file;

    private final AtomicInteger nextLaned = new AtomicInteger();
    private final AtomicInteger fallbacks = new AtomicInteger();
    private final Task laneTask = this::lane;
    private final Task borderTask = this::border;
    private final Task momentumTask = this::sharedMomentum;
    private final Task stageTask = this::sharedStage;
    private final Task sumTask = this::sharedSum;
    private final Task updateTask = this::sharedUpdate;

    private float gradientScale;
    private int currentShared;
    private boolean fallenBack;
    private int currentStage;

    /**
     * A block of state that reaches over a border of matrices.
     *
     * @param update where its elements of u wait, in the precision of the iteration, as if the parameter's first element were there as well
     */
    private record Border(MuonSlot slot, StateSpan span, ElementType precision, MemorySegment update) {}

    /** A matrix with its iteration in each of the workspaces that it may get, and the sums of its chunks. */
    private static final class Matrix {
        final MuonPiece piece;
        final Iteration[] iterations;
        /** For each iteration its input, as if the parameter's first element were there. */
        final MemorySegment[] updates;
        /** FP32 momentum of a matrix that counts from its own first element. */
        final @Nullable MemorySegment ownMomentum;

        final @Nullable MemorySegment lead;
        final @Nullable MemorySegment tail;
        final int innerChunks;
        final int momentumTasks;
        final int outputTasks;
        private final double[] partial;

        Matrix(MuonPiece piece, Iteration[] iterations, @Nullable MemorySegment lead, @Nullable MemorySegment tail) {
            this.piece = piece;
            this.iterations = iterations;
            this.updates = new MemorySegment[iterations.length];
            for (int place = 0; place < updates.length; place++) {
                Iteration iteration = iterations[place];
                updates[place] = before(
                        iteration.input(), piece.begin * iteration.precision().byteSize());
            }
            this.ownMomentum = piece.countsFromItsOwn()
                    ? slice(piece.slot.momentum.codes(), ElementType.F32, piece.begin, piece.elements())
                    : null;
            this.lead = lead;
            this.tail = tail;
            this.innerChunks = Chunks.count(piece.inner.elements());
            this.momentumTasks = innerChunks + (piece.isEdged() ? 1 : 0);
            this.outputTasks = Chunks.count(piece.elements());
            this.partial = new double[Math.max(momentumTasks, outputTasks)];
        }

        double sum(int count) {
            double sum = 0;
            for (int i = 0; i < count; i++) {
                sum += partial[i];
            }
            return sum;
        }

        double norm() {
            return Math.sqrt(sum(momentumTasks));
        }
    }

    /** What decides an iteration; matrices with the same key share theirs. */
    private record Key(NewtonSchulz spec, long rows, long cols) {}

    /**
     * @param cap the most bytes of workspace, unless one matrix alone needs more
     * @param file where the state lies, or null for the device's memory
     */
    MuonPass(Device device, List<MuonSlot> slots, long cap, @Nullable StateFile file) {
        this.device = device;
        this.file = file;
        List<MuonPiece> pieces =
                slots.stream().flatMap(slot -> slot.pieces.stream()).toList();
        List<MuonPlan.Item> items = new ArrayList<>();
        for (int i = 0; i < pieces.size(); i++) {
            MuonPiece piece = pieces.get(i);
            items.add(new MuonPlan.Item(
                    i,
                    cost(piece.rows, piece.cols),
                    Iteration.workspaceBytes(piece.slot.newtonSchulz, device, piece.rows, piece.cols)));
        }
        MuonPlan plan = MuonPlan.of(items, device.workers().count(), cap);
        this.lanes = plan.lanes();
        List<StateSpan> blocks =
                slots.stream().flatMap(slot -> BorderBlocks.of(slot).stream()).toList();
        long bytes = plan.workspaceBytes()
                + blocks.stream()
                        .mapToLong(block -> BorderBlocks.bytes((MuonSlot) block.slot()))
                        .sum();
        this.workspace = bytes == 0
                ? null
                : device.allocate(Purpose.OPTIMIZER_WORKSPACE, "Muon's workspace", ElementType.U8, Shape.of(bytes));
        try {
            Map<StateSpan, MemorySegment> edges = new HashMap<>();
            this.borders = bindBorders(blocks, plan.workspaceBytes(), edges);
            this.shared = bind(pieces, edges, plan.shared(), 1, plan.workspaceBytes());
            this.laned = bind(pieces, edges, plan.laned(), plan.lanes(), plan.laneBytes());
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /** @param edges gets where each block's elements of u wait */
    private Border[] bindBorders(List<StateSpan> blocks, long offset, Map<StateSpan, MemorySegment> edges) {
        Border[] bound = new Border[blocks.size()];
        long next = offset;
        for (int i = 0; i < bound.length; i++) {
            StateSpan span = blocks.get(i);
            MuonSlot slot = (MuonSlot) span.slot();
            ElementType precision = slot.newtonSchulz.precisionOn(device);
            MemorySegment u = memory(next, span.elements() * precision.byteSize());
            bound[i] = new Border(slot, span, precision, before(u, span.begin() * precision.byteSize()));
            edges.put(span, u);
            next += BorderBlocks.bytes(slot);
        }
        return bound;
    }

    private MemorySegment memory(long offset, long bytes) {
        return workspace == null ? MemorySegment.NULL : workspace.segment().asSlice(offset, bytes);
    }

    /** Kernels number elements of u as those of gradient and state, which are the whole parameter's: memory that begins so much earlier. */
    private static MemorySegment before(MemorySegment segment, long bytes) {
        return bytes == 0
                ? segment
                : MemorySegment.ofAddress(segment.address() - bytes).reinterpret(bytes + segment.byteSize());
    }

    /** The work of a matrix's iteration, in any unit. */
    static double cost(long rows, long cols) {
        double small = Math.min(rows, cols);
        return small * small * (rows + cols);
    }

    private Matrix[] bind(
            List<MuonPiece> pieces,
            Map<StateSpan, MemorySegment> edges,
            List<MuonPlan.Item> items,
            int places,
            long placeBytes) {
        Map<Key, Iteration[]> known = new HashMap<>();
        Matrix[] matrices = new Matrix[items.size()];
        for (int i = 0; i < matrices.length; i++) {
            MuonPiece piece = pieces.get(items.get(i).index());
            Key key = new Key(piece.slot.newtonSchulz, piece.rows, piece.cols);
            Iteration[] iterations = known.computeIfAbsent(key, wanted -> bind(wanted, places, placeBytes));
            long size = iterations[0].precision().byteSize();
            MemorySegment lead = null;
            if (piece.lead() > 0) {
                StateSpan block = piece.leadBlock();
                lead = Objects.requireNonNull(edges.get(block))
                        .asSlice((piece.begin - block.begin()) * size, piece.lead() * size);
            }
            MemorySegment tail = piece.tail() > 0
                    ? Objects.requireNonNull(edges.get(piece.tailBlock())).asSlice(0, piece.tail() * size)
                    : null;
            matrices[i] = new Matrix(piece, iterations, lead, tail);
        }
        return matrices;
    }

    private Iteration[] bind(Key key, int places, long placeBytes) {
        Iteration[] iterations = new Iteration[places];
        for (int place = 0; place < places; place++) {
            iterations[place] =
                    Iteration.bind(key.spec(), device, key.rows(), key.cols(), memory(place * placeBytes, placeBytes));
        }
        return iterations;
    }

    long workspaceBytes() {
        return workspace == null ? 0 : workspace.byteSize();
    }

    /**
     * All slots were prepared.
     *
     * @return how many matrices needed the iteration to fall back to
     */
    int run(float newGradientScale, long seed) {
        gradientScale = newGradientScale;
        fallbacks.set(0);
        device.workers().run(borders.length, borderTask);
        for (int i = 0; i < shared.length; i++) {
            shared[i].piece.keyRounding(seed);
            shared[i].piece.bindGradient();
            runShared(i);
        }
        for (Matrix matrix : laned) {
            matrix.piece.keyRounding(seed);
            matrix.piece.bindGradient();
        }
        nextLaned.set(0);
        device.workers().run(lanes, laneTask);
        return fallbacks.get();
    }

    private void runShared(int index) {
        Matrix matrix = shared[index];
        Iteration iteration = matrix.iterations[0];
        currentShared = index;
        fallenBack = false;
        device.workers().run(matrix.momentumTasks, momentumTask);
        stateUsed(matrix, index + 1 < shared.length ? shared[index + 1] : laned.length > 0 ? laned[0] : null);
        OrthogonalizationEvent event = Events.orthogonalization();
        runStages(iteration, matrix.norm());
        if (iteration.hasFallback()) {
            device.workers().run(matrix.outputTasks, sumTask);
            if (iteration.isWrong(matrix.sum(matrix.outputTasks))) {
                fallenBack = true;
                runStages(sharedIteration(), refill(matrix, sharedIteration()));
            }
        }
        if (event != null) {
            commit(event, matrix, iteration, fallenBack);
        }
        device.workers().run(rowTasks(matrix.piece), updateTask);
    }

    private static void commit(
            OrthogonalizationEvent event, Matrix matrix, Iteration iteration, boolean hasFallenBack) {
        MuonPiece piece = matrix.piece;
        StepEvents.commit(
                event, piece.slot, 1, piece.rows, piece.cols, iteration.way(), iteration.precision(), hasFallenBack);
    }

    private void runStages(Iteration iteration, double norm) {
        iteration.begin(norm);
        for (int stage = 0; stage < iteration.stages(); stage++) {
            currentStage = stage;
            device.workers().run(iteration.tasks(stage), stageTask);
        }
    }

    private void sharedMomentum(int chunk, int worker) {
        momentum(shared[currentShared], 0, chunk);
    }

    private void sharedStage(int task, int worker) {
        sharedIteration().run(currentStage, task, worker);
    }

    private Iteration sharedIteration() {
        Iteration iteration = shared[currentShared].iterations[0];
        return fallenBack ? iteration.fallback() : iteration;
    }

    private void sharedSum(int chunk, int worker) {
        Matrix matrix = shared[currentShared];
        long begin = chunk * Chunks.SIZE;
        matrix.partial[chunk] =
                sumOfSquares(sharedIteration(), begin, Math.min(begin + Chunks.SIZE, matrix.piece.elements()));
    }

    private double sumOfSquares(Iteration iteration, long begin, long end) {
        return device.kernels().sumSquares(iteration.output(), iteration.precision(), begin, end);
    }

    private void sharedUpdate(int task, int worker) {
        MuonPiece piece = shared[currentShared].piece;
        long begin = task * rowsPerTask(piece);
        update(shared[currentShared], sharedIteration(), begin, Math.min(begin + rowsPerTask(piece), piece.rows));
    }

    private static long rowsPerTask(MuonPiece piece) {
        return Math.max(1, Chunks.SIZE / piece.cols);
    }

    private static int rowTasks(MuonPiece piece) {
        long rows = rowsPerTask(piece);
        return Math.toIntExact((piece.rows + rows - 1) / rows);
    }

    /** A lane takes the next matrix until none is left. */
    private void lane(int lane, int worker) {
        for (int i = nextLaned.getAndIncrement(); i < laned.length; i = nextLaned.getAndIncrement()) {
            Matrix matrix = laned[i];
            Iteration iteration = matrix.iterations[lane];
            for (int chunk = 0; chunk < matrix.momentumTasks; chunk++) {
                momentum(matrix, lane, chunk);
            }
            stateUsed(matrix, i + lanes < laned.length ? laned[i + lanes] : null);
            OrthogonalizationEvent event = Events.orthogonalization();
            iteration.begin(matrix.norm());
            iteration.run(worker);
            if (iteration.hasFallback() && iteration.isWrong(sumOfSquares(iteration, 0, matrix.piece.elements()))) {
                iteration = iteration.fallback();
                iteration.begin(refill(matrix, iteration));
                iteration.run(worker);
            }
            if (event != null) {
                Iteration first = matrix.iterations[lane];
                commit(event, matrix, first, iteration != first);
            }
            update(matrix, iteration, 0, matrix.piece.rows);
        }
    }

    /** The rest of a matrix's step needs its momentum no more: time to write it, and to read that of the next one. */
    private void stateUsed(Matrix matrix, @Nullable Matrix next) {
        if (file != null) {
            StateSpan used = matrix.piece.inner;
            if (used.elements() > 0) {
                file.writeBehind(used.slot().state(), used.begin(), used.end());
            }
            if (next != null && next.piece.inner.elements() > 0) {
                StateSpan wanted = next.piece.inner;
                file.readAhead(wanted.slot().state(), wanted.begin(), wanted.end());
            }
        }
    }

    private void border(int index, int worker) {
        Border border = borders[index];
        StateSpan span = border.span();
        MuonSlot slot = border.slot();
        momentum(
                slot,
                slot.parameter.gradient(),
                slot.momentum.codes(),
                border.update(),
                border.precision(),
                span.begin(),
                span.end());
        if (file != null) {
            file.writeBehind(slot.state(), span.begin(), span.end());
        }
    }

    private void momentum(Matrix matrix, int place, int task) {
        MuonPiece piece = matrix.piece;
        Iteration iteration = matrix.iterations[place];
        if (task == matrix.innerChunks) {
            matrix.partial[task] = copyEdges(matrix, iteration);
            return;
        }
        MuonSlot slot = piece.slot;
        ElementType type = iteration.precision();
        long begin = piece.inner.begin() + task * Chunks.SIZE;
        long end = Math.min(begin + Chunks.SIZE, piece.inner.end());
        matrix.partial[task] = matrix.ownMomentum == null
                ? momentum(
                        slot, slot.parameter.gradient(), slot.momentum.codes(), matrix.updates[place], type, begin, end)
                : momentum(
                        slot,
                        piece.gradient(),
                        matrix.ownMomentum,
                        iteration.input(),
                        type,
                        begin - piece.begin,
                        end - piece.begin);
    }

    private double momentum(
            MuonSlot slot,
            MemorySegment gradient,
            MemorySegment momentum,
            MemorySegment update,
            ElementType updateType,
            long begin,
            long end) {
        return device.kernels()
                .muonMomentum(
                        slot.momentum.format(),
                        slot.momentum.block(),
                        gradient,
                        slot.parameter.gradientType(),
                        gradientScale,
                        momentum,
                        slot.momentum.scales(),
                        update,
                        updateType,
                        slot.group.momentum(),
                        slot.spec.nesterov(),
                        begin,
                        end);
    }

    /** What blocks over the matrix's borders gave; returns the sum of its squares. */
    private double copyEdges(Matrix matrix, Iteration iteration) {
        MemorySegment u = iteration.input();
        ElementType type = iteration.precision();
        long elements = matrix.piece.elements();
        double sum = 0;
        if (matrix.lead != null) {
            MemorySegment.copy(matrix.lead, 0, u, 0, matrix.lead.byteSize());
            sum += device.kernels().sumSquares(u, type, 0, matrix.piece.lead());
        }
        if (matrix.tail != null) {
            long begin = elements - matrix.piece.tail();
            MemorySegment.copy(matrix.tail, 0, u, begin * type.byteSize(), matrix.tail.byteSize());
            sum += device.kernels().sumSquares(u, type, begin, elements);
        }
        return sum;
    }

    /**
     * u once more, on the calling thread: it was overwritten, and the momentum is that of this step already. Made from the momentum as it
     * is stored.
     *
     * @return its norm
     */
    private double refill(Matrix matrix, Iteration iteration) {
        fallbacks.incrementAndGet();
        MuonPiece piece = matrix.piece;
        if (piece.inner.elements() > 0) {
            refillInner(piece, iteration);
        }
        copyEdges(matrix, iteration);
        return Math.sqrt(device.kernels().sumSquares(iteration.input(), iteration.precision(), 0, piece.elements()));
    }

    private void refillInner(MuonPiece piece, Iteration iteration) {
        MuonSlot slot = piece.slot;
        Kernels kernels = device.kernels();
        ElementType type = iteration.precision();
        long begin = piece.inner.begin();
        long count = piece.inner.elements();
        MemorySegment u = slice(iteration.input(), type, piece.lead(), count);
        if (slot.momentum.format() == BlockFormat.F32) {
            MemorySegment m = slice(slot.momentum.codes(), ElementType.F32, begin, count);
            kernels.scale(1, m, ElementType.F32, count, u, type, count, count, 0, 1);
        } else {
            kernels.dequantize(
                    slot.momentum.format(),
                    slot.momentum.block(),
                    slot.momentum.codes(),
                    slot.momentum.scales(),
                    before(u, begin * type.byteSize()),
                    type,
                    begin,
                    piece.inner.end());
        }
        if (slot.spec.nesterov()) {
            double beta = slot.group.momentum();
            ElementType gradientType = slot.parameter.gradientType();
            kernels.axpby(
                    (float) ((1 - beta) * gradientScale),
                    slice(slot.parameter.gradient(), gradientType, begin, count),
                    gradientType,
                    count,
                    (float) beta,
                    u,
                    type,
                    count,
                    u,
                    type,
                    count,
                    count,
                    0,
                    1);
        }
    }

    private static MemorySegment slice(MemorySegment segment, ElementType type, long begin, long count) {
        return segment.asSlice(begin * type.byteSize(), count * type.byteSize());
    }

    private void update(Matrix matrix, Iteration iteration, long rowBegin, long rowEnd) {
        MuonPiece piece = matrix.piece;
        device.kernels()
                .muonUpdate(
                        piece.weights,
                        piece.slot.parameter.weightType(),
                        piece.cols,
                        piece.master,
                        iteration.output(),
                        iteration.precision(),
                        piece.cols,
                        piece.slot.decay(),
                        piece.rate(),
                        piece.rounding,
                        piece.cols,
                        rowBegin,
                        rowEnd);
    }

    @Override
    public void close() {
        if (workspace != null) {
            workspace.close();
        }
    }
}
