package dev.muonium.device;

import dev.muonium.bindings.cudart.CudaRuntime;
import dev.muonium.memory.DeviceMemory;
import dev.muonium.memory.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;

/**
 * Copies between the host and a GPU beside what the GPU computes, for data that is brought in pieces, worked on and sent back. The
 * caller has a number of <em>places</em> in the GPU's memory that the pieces take in turns; {@code place} is the number of one:
 *
 * <pre>{@code
 * begin()                       everything that was started on the device comes before
 * bring(place, copies)          host → place, once what sendBack has started there is done
 * use(place)                    what is started on the device from now on finds the place filled
 *   … kernels …
 * sendBack(place, copies)       place → host, once everything that was started on the device is done
 * end()                         everything that is started on the device from now on comes after
 * }</pre>
 *
 * <p>Each direction has a stream of its own beside the device's: a GPU has a copy engine for each, and in one stream the way back, which waits for kernels,
 * would hold up the way in, which need not. Events order the three; nothing waits on the host but {@link #awaitSentBack}, and all the rest may be recorded by
 * {@link CudaDevice#record}, from {@link #begin} to {@link #end}.
 *
 * <p>The host's memory must be page-locked ({@link DeviceMemory#allocateStaging}), else copies overlap with nothing. Nothing is allocated after it was made. Not
 * thread-safe, but for {@link #awaitSentBack}. Close it before the memory that it copies.
 */
public final class CudaTransfers implements AutoCloseable {
    private final CudaStream stream;
    private final DeviceMemory memory;
    private final MemorySegment inward;
    private final MemorySegment outward;
    private final MemorySegment begun;
    private final MemorySegment sentAll;
    private final MemorySegment[] filled;
    private final MemorySegment[] used;
    private final MemorySegment[] sent;
    private final boolean[] wasSent;
    private final Deque<Runnable> releases = new ArrayDeque<>();

    /**
     * A piece of memory here and there.
     *
     * @param host page-locked memory, of at least that many bytes
     * @param device a segment of the device, at which the piece begins
     */
    public record Copy(MemorySegment host, MemorySegment device, long bytes) {}

    CudaTransfers(CudaStream stream, DeviceMemory memory, int places) {
        if (places < 1) {
            throw new IllegalArgumentException("places is " + places + "; there must be at least one to copy to");
        }
        this.stream = stream;
        this.memory = memory;
        this.filled = new MemorySegment[places];
        this.used = new MemorySegment[places];
        this.sent = new MemorySegment[places];
        this.wasSent = new boolean[places];
        stream.enterOutsideRecording("streams for copies cannot be made");
        try {
            this.inward = newStream();
            this.outward = newStream();
            this.begun = newEvent();
            this.sentAll = newEvent();
            for (int place = 0; place < places; place++) {
                filled[place] = newEvent();
                used[place] = newEvent();
                sent[place] = newEvent();
            }
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    private MemorySegment newStream() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            stream.checkDone(
                    CudaRuntime.cudaStreamCreateWithFlags(out, CudaRuntime.cudaStreamNonBlocking()),
                    "cudaStreamCreateWithFlags");
            MemorySegment made = out.get(ValueLayout.ADDRESS, 0);
            releases.push(() -> {
                // A copy from or to memory that is freed next may not have been done yet.
                stream.report(CudaRuntime.cudaStreamSynchronize(made), "cudaStreamSynchronize");
                stream.report(CudaRuntime.cudaStreamDestroy(made), "cudaStreamDestroy");
            });
            return made;
        }
    }

    private MemorySegment newEvent() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            stream.checkDone(
                    CudaRuntime.cudaEventCreateWithFlags(out, CudaRuntime.cudaEventDisableTiming()),
                    "cudaEventCreateWithFlags");
            MemorySegment made = out.get(ValueLayout.ADDRESS, 0);
            releases.push(() -> stream.report(CudaRuntime.cudaEventDestroy(made), "cudaEventDestroy"));
            return made;
        }
    }

    /** Begins a pass: no copy overtakes what was started on the device before. Each place that is brought in it is used, and sent back. */
    public void begin() {
        stream.enter();
        record(begun, stream.handle());
        await(inward, begun);
        Arrays.fill(wasSent, false);
    }

    /** Starts to fill a place, after what was sent back from it in this pass. */
    public void bring(int place, List<Copy> copies) {
        stream.enter();
        if (wasSent[place]) {
            await(inward, sent[place]);
        }
        for (int i = 0; i < copies.size(); i++) {
            Copy copy = copies.get(i);
            require(copy);
            memory.requireWritable("the place", copy.device(), ElementType.U8, copy.bytes());
            stream.check(
                    CudaRuntime.cudaMemcpyAsync(
                            copy.device(), copy.host(), copy.bytes(), CudaRuntime.cudaMemcpyHostToDevice(), inward),
                    "cudaMemcpyAsync");
        }
        record(filled[place], inward);
    }

    /** Lets what is started on the device from now on wait until a place is filled. */
    public void use(int place) {
        stream.enter();
        await(stream.handle(), filled[place]);
    }

    /** Starts to copy a place to the host, after everything that was started on the device so far. */
    public void sendBack(int place, List<Copy> copies) {
        stream.enter();
        record(used[place], stream.handle());
        await(outward, used[place]);
        for (int i = 0; i < copies.size(); i++) {
            Copy copy = copies.get(i);
            require(copy);
            memory.requireReadable("the place", copy.device(), ElementType.U8, copy.bytes());
            stream.check(
                    CudaRuntime.cudaMemcpyAsync(
                            copy.host(), copy.device(), copy.bytes(), CudaRuntime.cudaMemcpyDeviceToHost(), outward),
                    "cudaMemcpyAsync");
        }
        record(sent[place], outward);
        wasSent[place] = true;
    }

    /** Waits on the calling thread, which may be any one, until what was sent back from a place last is in the host's memory. Not in a recording. */
    public void awaitSentBack(int place) {
        stream.enterOutsideRecording("a copy to the host cannot be waited for");
        stream.checkDone(CudaRuntime.cudaEventSynchronize(sent[place]), "cudaEventSynchronize");
    }

    /** Ends a pass: what is started on the device from now on comes after all copies, and so does {@link CudaDevice#synchronize}. */
    public void end() {
        stream.enter();
        record(sentAll, outward);
        await(stream.handle(), sentAll);
    }

    private void record(MemorySegment event, MemorySegment in) {
        stream.check(CudaRuntime.cudaEventRecord(event, in), "cudaEventRecord");
    }

    private void await(MemorySegment waiting, MemorySegment event) {
        stream.check(CudaRuntime.cudaStreamWaitEvent(waiting, event, 0), "cudaStreamWaitEvent");
    }

    private static void require(Copy copy) {
        if (!copy.host().isNative() || copy.host().byteSize() < copy.bytes()) {
            throw new IllegalArgumentException("the host's side of a copy has "
                    + copy.host().byteSize() + " bytes " + (copy.host().isNative() ? "" : "on the Java heap ") + "of "
                    + copy.bytes() + "; take page-locked memory from allocateStaging");
        }
    }

    /** Waits for its copies and gives streams and events back. A second call does nothing. */
    @Override
    public void close() {
        if (releases.isEmpty()) {
            return;
        }
        boolean usable = stream.enterToFree();
        while (!releases.isEmpty()) {
            Runnable release = releases.removeLast();
            if (usable) {
                release.run();
            }
        }
    }
}
