package dev.muonium.device;

import dev.muonium.DeviceUnavailableException;
import dev.muonium.NativeException;
import dev.muonium.bindings.cudart.CudaRuntime;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The one stream that all work of a CUDA device goes through, and what has become of the device: in use, being recorded, broken
 * or closed. Every entry passes {@link #enter}, which makes the device the calling thread's current one: that belongs to the
 * thread, and others may have changed it.
 */
final class CudaStream {
    private static final Logger LOG = LogManager.getLogger(CudaStream.class);

    /** The handle that stands for the default stream, which the address 0 means elsewhere. */
    private static final long LEGACY = 1;

    private final int ordinal;
    private final MemorySegment handle;
    private final boolean owned;
    private final RecentCalls calls = new RecentCalls();
    private final List<Runnable> afterRecording = new ArrayList<>();
    private volatile @Nullable Thread recorder;
    private volatile @Nullable String broken;
    private volatile boolean closed;

    private CudaStream(int ordinal, MemorySegment handle, boolean owned) {
        this.ordinal = ordinal;
        this.handle = handle;
        this.owned = owned;
    }

    /** A stream of its own on a device. */
    static CudaStream create(int ordinal) {
        setDevice(ordinal);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int status = CudaRuntime.cudaStreamCreateWithFlags(out, CudaRuntime.cudaStreamNonBlocking());
            if (status != CudaRuntime.cudaSuccess()) {
                throw unavailable(ordinal, "cudaStreamCreateWithFlags", status);
            }
            return new CudaStream(ordinal, out.get(ValueLayout.ADDRESS, 0), true);
        }
    }

    /** A stream that somebody else made and goes on owning. */
    static CudaStream wrap(int ordinal, long address) {
        setDevice(ordinal);
        return new CudaStream(ordinal, MemorySegment.ofAddress(address == 0 ? LEGACY : address), false);
    }

    private static void setDevice(int ordinal) {
        int status = CudaRuntime.cudaSetDevice(ordinal);
        if (status != CudaRuntime.cudaSuccess()) {
            throw unavailable(ordinal, "cudaSetDevice", status);
        }
    }

    private static DeviceUnavailableException unavailable(int ordinal, String function, int status) {
        var _ = CudaRuntime.cudaGetLastError(); // else a later call reports it again
        return new DeviceUnavailableException("the GPU cuda:" + ordinal + " cannot be used: " + function + " says "
                + text(status) + "; look at nvidia-smi whether it is free and in order");
    }

    /** For example {@code an illegal memory access was encountered (cudaErrorIllegalAddress)}. */
    static String text(int status) {
        return CudaRuntime.cudaGetErrorString(status)
                        .reinterpret(Long.MAX_VALUE)
                        .getString(0) + " ("
                + CudaRuntime.cudaGetErrorName(status)
                        .reinterpret(Long.MAX_VALUE)
                        .getString(0) + ")";
    }

    int ordinal() {
        return ordinal;
    }

    MemorySegment handle() {
        return handle;
    }

    boolean isLegacy() {
        return handle.address() == LEGACY;
    }

    boolean isBroken() {
        return broken != null;
    }

    /** For example {@code cuda:0}. */
    String device() {
        return "cuda:" + ordinal;
    }

    /** Refuses work for a device that cannot do it, before a native call is made. */
    void requireUsable() {
        if (closed) {
            throw new IllegalStateException("the device " + device() + " was used after it was closed");
        }
        String reason = broken;
        if (reason != null) {
            throw new DeviceUnavailableException(
                    "the device " + device() + " is broken and can only be closed: " + reason);
        }
        Thread recording = recorder;
        if (recording != null && recording != Thread.currentThread()) {
            throw new IllegalStateException("the device " + device() + " is being recorded by the thread '"
                    + recording.getName() + "'; what another thread starts meanwhile would end up in the recording");
        }
    }

    /** Begins a call of the runtime or of cuBLAS. */
    void enter() {
        requireUsable();
        int status = CudaRuntime.cudaSetDevice(ordinal);
        if (status != CudaRuntime.cudaSuccess()) {
            throw failure(status, "cudaSetDevice");
        }
    }

    /** Begins a call that a recording cannot hold: it waits, or it makes or frees something. */
    void enterOutsideRecording(String what) {
        refuseInRecording(what);
        enter();
    }

    void refuseInRecording(String what) {
        if (recorder != null) {
            throw new IllegalStateException(what + " inside a recording of " + device()
                    + "; do it before: a recording holds only kernels, products and asynchronous copies");
        }
    }

    /** Remembers the name of a call whose work is done later. */
    void started(String function) {
        calls.note(function);
    }

    /** Turns a status of the runtime that is not success into an exception, and remembers the name of what was started. */
    void check(int status, String function) {
        if (status != CudaRuntime.cudaSuccess()) {
            throw failure(status, function);
        }
        calls.note(function);
    }

    /** The same for a call that starts nothing. */
    void checkDone(int status, String function) {
        if (status != CudaRuntime.cudaSuccess()) {
            throw failure(status, function);
        }
    }

    private NativeException failure(int status, String function) {
        return failure(function, status, text(status));
    }

    /**
     * What a call's failure is thrown as; says on which device, and what was started before, whose failure it may be. A failure
     * that every later call would meet marks the device as broken.
     */
    NativeException failure(String function, int status, String text) {
        String before = calls.toString();
        String sentence = text + " on " + device()
                + (before.isEmpty() ? "" : "; started since the last synchronization: " + before);
        forgetLastError();
        if (broken == null && isGone()) {
            broken = function + " failed: " + sentence
                    + "; CUDA gives this process no further work on it, so open it again in a new process";
            LOG.error("the device {} is broken: {}", device(), broken);
        }
        return new NativeException(function, status, sentence);
    }

    private static void forgetLastError() {
        var _ = CudaRuntime.cudaGetLastError();
    }

    /** A kernel's fault stays: every call that looks at the device reports it from then on. */
    private static boolean isGone() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment free = arena.allocate(ValueLayout.JAVA_LONG);
            MemorySegment total = arena.allocate(ValueLayout.JAVA_LONG);
            if (CudaRuntime.cudaMemGetInfo(free, total) == CudaRuntime.cudaSuccess()) {
                return false;
            }
            forgetLastError();
            return true;
        }
    }

    /** Waits for everything that was started; reports what of it failed. */
    void synchronize() {
        enterOutsideRecording("the device cannot be waited for");
        checkDone(CudaRuntime.cudaStreamSynchronize(handle), "cudaStreamSynchronize");
        calls.clear();
    }

    void beginRecording() {
        enterOutsideRecording("a recording cannot begin");
        if (isLegacy()) {
            throw new IllegalStateException(
                    "the device " + device() + " works in CUDA's default stream, which cannot be"
                            + " recorded; give CudaDevice.builder() another stream, or none");
        }
        // Relaxed: cuBLAS and the loading of kernels may do things of their own; what must not be done is refused here.
        checkDone(
                CudaRuntime.cudaStreamBeginCapture(handle, CudaRuntime.cudaStreamCaptureModeRelaxed()),
                "cudaStreamBeginCapture");
        recorder = Thread.currentThread();
    }

    /** The {@code cudaGraph_t} of what was started since the beginning, which the caller destroys. */
    MemorySegment endRecording() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int status = CudaRuntime.cudaStreamEndCapture(handle, out);
            leaveRecording();
            checkDone(status, "cudaStreamEndCapture");
            return out.get(ValueLayout.ADDRESS, 0);
        }
    }

    /** Ends a recording that failed; whatever CUDA says to that, the first failure is the one to report. */
    void abandonRecording() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
            int status = CudaRuntime.cudaStreamEndCapture(handle, out);
            MemorySegment graph = out.get(ValueLayout.ADDRESS, 0);
            if (status == CudaRuntime.cudaSuccess() && !graph.equals(MemorySegment.NULL)) {
                var _ = CudaRuntime.cudaGraphDestroy(graph);
            }
            forgetLastError();
        } finally {
            leaveRecording();
        }
    }

    private void leaveRecording() {
        List<Runnable> waiting;
        synchronized (afterRecording) {
            recorder = null;
            waiting = List.copyOf(afterRecording);
            afterRecording.clear();
        }
        waiting.forEach(Runnable::run);
    }

    /** Frees now; or, because a recording would take it for part of itself, when that has ended. */
    void free(Runnable release) {
        synchronized (afterRecording) {
            if (recorder != null) {
                afterRecording.add(release);
                return;
            }
        }
        release.run();
    }

    /** Makes the device current for freeing, which goes on after close; says whether that is of any use. */
    boolean enterToFree() {
        if (broken != null) {
            return false;
        }
        return CudaRuntime.cudaSetDevice(ordinal) == CudaRuntime.cudaSuccess();
    }

    /** Frees cannot fail for a caller who can do something about it. */
    void report(int status, String function) {
        if (status != CudaRuntime.cudaSuccess()) {
            forgetLastError();
            if (broken == null) {
                LOG.warn("{} failed on {}: {}", function, device(), text(status));
            }
        }
    }

    /** Nothing can be started from now on; the handle stays until {@link #destroy}. */
    void close() {
        closed = true;
    }

    void destroy() {
        if (owned && enterToFree()) {
            report(CudaRuntime.cudaStreamDestroy(handle), "cudaStreamDestroy");
        }
    }
}
