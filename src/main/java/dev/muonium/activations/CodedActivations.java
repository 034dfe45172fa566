package dev.muonium.activations;

import dev.muonium.device.Device;
import dev.muonium.memory.Allocator;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import dev.muonium.memory.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Arrays that wait in FP8, one FP32 scale per {@value BlockFormat#DEFAULT_BLOCK} values, while the memory that they are computed in serves others: {@code 1 + 4/128}
 * bytes a value. What comes back is what {@link BlockFormat} makes of it; a NaN or an infinity comes back as a NaN.
 *
 * <p>Owns codes and scales, which the ledger counts under {@link Purpose#ACTIVATIONS}; the arrays stay the caller's. The bits do not depend on the number of
 * threads. Not thread-safe.
 */
public final class CodedActivations implements AutoCloseable {
    /** Elements of a task: a multiple of every block. */
    private static final long CHUNK = 1 << 16;

    private final Allocator memory;
    private final ElementType type;
    private final BlockFormat format;
    private final List<Part> parts = new ArrayList<>();
    private final List<Tensor> owned = new ArrayList<>();
    private final long chunk;
    private int tasks;

    /** An array, where it is computed and where it waits; {@code first} is the number of its first task. */
    private record Part(MemorySegment work, MemorySegment codes, MemorySegment scales, long elements, int first) {}

    /** Elements of a part, from one way of waiting to the other. */
    @FunctionalInterface
    private interface Pass {
        void run(Part part, long begin, long end);
    }

    /**
     * Makes one without an array.
     *
     * @param memory what codes and scales are allocated in, of the device that will be given to {@link #save}
     * @param type of the arrays where they are computed: F32 or BF16
     * @param format {@link BlockFormat#FP8_E4M3} or {@link BlockFormat#FP8_E5M2}
     * @param whole whether an array is one task, as suits a device that divides the work itself; else there are many
     * @throws IllegalArgumentException if the format is not FP8
     */
    public CodedActivations(Allocator memory, ElementType type, BlockFormat format, boolean whole) {
        if (format != BlockFormat.FP8_E4M3 && format != BlockFormat.FP8_E5M2) {
            throw new IllegalArgumentException("activations cannot wait in " + format
                    + "; the formats for them are FP8_E4M3 and, for gradients, FP8_E5M2");
        }
        this.memory = memory;
        this.type = type;
        this.format = format;
        this.chunk = whole ? Long.MAX_VALUE : CHUNK;
    }

    /**
     * Adds an array, and allocates its codes and scales.
     *
     * @param name for the ledger's reports
     * @param work where the array is computed, on the device
     */
    public void add(String name, MemorySegment work, long elements) {
        Tensor codes = own(name + " (codes)", format.codeType(), elements);
        Tensor scales = own(name + " (scales)", ElementType.F32, format.scales(elements, BlockFormat.DEFAULT_BLOCK));
        parts.add(new Part(work, codes.segment(), scales.segment(), elements, tasks));
        tasks += Math.toIntExact(elements / chunk + (elements % chunk == 0 ? 0 : 1));
    }

    private Tensor own(String name, ElementType elementType, long elements) {
        Tensor tensor = memory.allocate(Purpose.ACTIVATIONS, name, elementType, Shape.of(elements));
        owned.add(tensor);
        return tensor;
    }

    /** From where the arrays are computed to where they wait. */
    public void save(Device device) {
        forEach(
                device,
                (part, begin, end) -> device.kernels()
                        .quantize(
                                format,
                                BlockFormat.DEFAULT_BLOCK,
                                part.work(),
                                type,
                                part.codes(),
                                part.scales(),
                                begin,
                                end));
    }

    /** Back to where they are computed. */
    public void restore(Device device) {
        forEach(
                device,
                (part, begin, end) -> device.kernels()
                        .dequantize(
                                format,
                                BlockFormat.DEFAULT_BLOCK,
                                part.codes(),
                                part.scales(),
                                part.work(),
                                type,
                                begin,
                                end));
    }

    private void forEach(Device device, Pass pass) {
        device.workers().run(tasks, (task, worker) -> {
            Part part = part(task);
            long begin = task == part.first() ? 0 : (task - part.first()) * chunk;
            pass.run(part, begin, part.elements() - begin > chunk ? begin + chunk : part.elements());
        });
    }

    private Part part(int task) {
        int last = parts.size() - 1;
        while (parts.get(last).first() > task) {
            last--;
        }
        return parts.get(last);
    }

    /** Frees codes and scales. A second call does nothing. */
    @Override
    public void close() {
        while (!owned.isEmpty()) {
            owned.removeLast().close();
        }
    }
}
