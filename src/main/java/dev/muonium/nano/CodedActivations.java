package dev.muonium.nano;

import dev.muonium.device.Device;
import dev.muonium.memory.BlockFormat;
import dev.muonium.memory.ElementType;
import dev.muonium.memory.Purpose;
import dev.muonium.memory.Shape;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Arrays that wait in FP8, one FP32 scale per {@value BlockFormat#DEFAULT_BLOCK} values, while the memory that they are computed in serves others.
 * A NaN or an infinity comes back as a NaN.
 */
final class CodedActivations {
    /** Elements of a task: a multiple of every block. */
    private static final long CHUNK = 1 << 16;

    private final ElementType type;
    private final BlockFormat format;
    private final List<Part> parts = new ArrayList<>();
    private final long chunk;
    private int tasks;

    /** An array, where it is computed and where it waits; {@code first} is the number of its first task. */
    private record Part(MemorySegment work, MemorySegment codes, MemorySegment scales, long elements, int first) {}

    /**
     * @param type of the arrays where they are computed
     */
    CodedActivations(Grain grain, ElementType type, BlockFormat format) {
        this.type = type;
        this.format = format;
        this.chunk = grain == Grain.WHOLE ? Long.MAX_VALUE : CHUNK;
    }

    /** Adds an array, and allocates its codes and scales. */
    void add(OwnedTensors memory, String name, MemorySegment work, long elements) {
        parts.add(new Part(
                work,
                memory.tensor(Purpose.ACTIVATIONS, name + " (codes)", format.codeType(), Shape.of(elements))
                        .segment(),
                memory.tensor(
                                Purpose.ACTIVATIONS,
                                name + " (scales)",
                                ElementType.F32,
                                Shape.of(format.scales(elements, BlockFormat.DEFAULT_BLOCK)))
                        .segment(),
                elements,
                tasks));
        tasks += Math.toIntExact(elements / chunk + (elements % chunk == 0 ? 0 : 1));
    }

    /** From where the arrays are computed to where they wait. */
    void save(Device device) {
        device.workers().run(tasks, (task, worker) -> {
            Part part = part(task);
            long begin = begin(part, task);
            device.kernels()
                    .quantize(
                            format,
                            BlockFormat.DEFAULT_BLOCK,
                            part.work(),
                            type,
                            part.codes(),
                            part.scales(),
                            begin,
                            end(part, begin));
        });
    }

    /** Back to where they are computed. */
    void restore(Device device) {
        device.workers().run(tasks, (task, worker) -> {
            Part part = part(task);
            long begin = begin(part, task);
            device.kernels()
                    .dequantize(
                            format,
                            BlockFormat.DEFAULT_BLOCK,
                            part.codes(),
                            part.scales(),
                            part.work(),
                            type,
                            begin,
                            end(part, begin));
        });
    }

    private Part part(int task) {
        int last = parts.size() - 1;
        while (parts.get(last).first() > task) {
            last--;
        }
        return parts.get(last);
    }

    private long begin(Part part, int task) {
        return part.first() == task ? 0 : (task - part.first()) * chunk;
    }

    private long end(Part part, long begin) {
        return part.elements() - begin > chunk ? begin + chunk : part.elements();
    }
}
