package dev.muonium.nano;

import dev.muonium.checkpoint.SafetensorsWriter;
import dev.muonium.checkpoint.StoredTensor;
import dev.muonium.checkpoint.StoredType;
import dev.muonium.device.Device;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Tensor;
import dev.muonium.optim.Optimizer;
import dev.muonium.optim.ParameterKind;
import dev.muonium.optim.StateTensor;
import dev.muonium.optim.StepReport;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Writes what Muon orthogonalizes during training to files: for each matrix of the blocks the u that Newton-Schulz gets, in FP32
 * (the momentum after Nesterov's step, of the clipped gradient), under the matrix's name, and the gradient, before clipping, as
 * {@code <name>.gradient}. One safetensors file, {@code updates-000250.safetensors}, for each chosen step.
 *
 * <p>The optimizer knows nothing of it: u is computed by the momentum pass itself on a copy of the state, so its bits are those of
 * the step. Steps that are not chosen cost nothing.
 */
public final class UpdateRecorder {
    private final Path folder;
    private final NavigableSet<Integer> steps;

    /**
     * @param folder where the files go; it exists, and files of the same steps are replaced
     * @param steps which steps, from 1; those that are left out of training, because a gradient is not finite, are not recorded
     * @throws IllegalArgumentException if there is none, or one is below 1
     */
    public UpdateRecorder(Path folder, Iterable<Integer> steps) {
        this.folder = folder;
        this.steps = new TreeSet<>();
        steps.forEach(this.steps::add);
        if (this.steps.isEmpty() || this.steps.first() < 1) {
            throw new IllegalArgumentException(
                    "the steps to record are " + this.steps + "; there must be some, and they begin at 1");
        }
    }

    /**
     * Checks that there will be something to record.
     *
     * @throws IllegalArgumentException if not; the sentence says why
     */
    void requireRecordable(Device device, TrainConfig training) {
        if (training.matrixOptimizer() != MatrixOptimizer.MUON) {
            throw new IllegalArgumentException(
                    "only Muon's updates can be recorded, and matrix_optimizer is \"adamw\"; take \"muon\"");
        }
        if (training.techniques().useGalore()) {
            throw new IllegalArgumentException(
                    "updates of whole matrices cannot be recorded with GaLore, which has projections; set use_galore to"
                            + " false");
        }
        if (!device.memory().isHost()) {
            throw new IllegalArgumentException("updates can be recorded on a CPU only, and this is " + device.describe()
                    + "; train with --device cpu");
        }
    }

    /**
     * Takes a step, and records it if it is one of those.
     *
     * @param number of the step, from 1
     */
    StepReport step(int number, Device device, Optimizer optimizer, List<GptParameter> parameters) {
        if (!steps.contains(number)) {
            return optimizer.step();
        }
        double momentum = optimizer.group(GptOptimizer.MATRICES).momentum();
        try (Arena arena = Arena.ofConfined()) {
            List<Update> updates = new ArrayList<>();
            for (GptParameter parameter : parameters) {
                if (parameter.description().kind() == ParameterKind.MATRIX) {
                    updates.add(Update.before(optimizer, parameter, arena));
                }
            }
            StepReport report = optimizer.step();
            if (report.taken()) {
                float scale = (float) report.clipFactor();
                List<StoredTensor> tensors = new ArrayList<>();
                for (Update update : updates) {
                    update.addTo(tensors, device, scale, momentum, arena);
                }
                SafetensorsWriter.write(
                        folder.resolve(String.format(Locale.ROOT, "updates-%06d.safetensors", number)),
                        Map.of("step", Integer.toString(number), "momentum", Double.toString(momentum)),
                        tensors);
            }
            return report;
        }
    }

    /** A matrix and a copy of its momentum from before the step. */
    private record Update(
            GptParameter parameter,
            StateTensor state,
            MemorySegment codes,
            @Nullable MemorySegment scales) {

        static Update before(Optimizer optimizer, GptParameter parameter, Arena arena) {
            StateTensor state = optimizer.state(parameter.name()).tensor("momentum_buffer");
            MemorySegment scales = state.scales();
            return new Update(
                    parameter, state, copy(state.codes(), arena), scales == null ? null : copy(scales, arena));
        }

        private static MemorySegment copy(MemorySegment from, Arena arena) {
            return arena.allocate(from.byteSize(), Long.BYTES).copyFrom(from);
        }

        void addTo(List<StoredTensor> tensors, Device device, float scale, double momentum, Arena arena) {
            Tensor gradient = parameter.gradient();
            long elements = state.elements();
            MemorySegment u = arena.allocate(elements * Float.BYTES, Long.BYTES);
            device.kernels()
                    .muonMomentum(
                            state.format(),
                            state.block(),
                            gradient.segment(),
                            gradient.type(),
                            scale,
                            codes,
                            scales,
                            u,
                            ElementType.F32,
                            momentum,
                            true,
                            0,
                            elements);
            List<Long> shape =
                    List.of(gradient.shape().extent(0), gradient.shape().extent(1));
            StoredType gradientType = gradient.type() == ElementType.F32 ? StoredType.F32 : StoredType.BF16;
            tensors.add(new StoredTensor(parameter.name(), StoredType.F32, shape, u));
            tensors.add(new StoredTensor(parameter.name() + ".gradient", gradientType, shape, gradient.segment()));
        }
    }
}
