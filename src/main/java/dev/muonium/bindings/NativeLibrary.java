package dev.muonium.bindings;

/** The native libraries that Muonium calls, each with a set of generated bindings. */
public enum NativeLibrary {
    /** Our own kernels: {@code dev.muonium.bindings.mu}. */
    MUONIUM("Muonium's native library", "libmuonium.so", "Device.cpu()"),
    /** The OpenMP runtime that oneDNN runs on: {@code dev.muonium.bindings.openmp}. */
    OPENMP("the OpenMP runtime", "libgomp.so.1", "Device.cpu()"),
    /** Matrix products on the CPU: {@code dev.muonium.bindings.dnnl}. */
    DNNL("oneDNN", "libdnnl.so.3", "Device.cpu()"),
    /** The CUDA runtime: {@code dev.muonium.bindings.cudart}. */
    CUDA_RUNTIME("the CUDA runtime", "libcudart.so.13", "Device.cuda()"),
    /** Matrix products on an NVIDIA GPU: {@code dev.muonium.bindings.cublas}. */
    CUBLAS("cuBLAS", "libcublas.so.13", "Device.cuda()"),
    /** Matrix products with scales and epilogues on an NVIDIA GPU: {@code dev.muonium.bindings.cublaslt}. */
    CUBLAS_LT("cublasLt", "libcublasLt.so.13", "Device.cuda()");

    private final String title;
    private final String soname;
    private final String loadedBy;

    NativeLibrary(String title, String soname, String loadedBy) {
        this.title = title;
        this.soname = soname;
        this.loadedBy = loadedBy;
    }

    /** {@return what a sentence calls the library, for example {@code oneDNN}} */
    public String title() {
        return title;
    }

    /** {@return the file name that the dynamic linker knows the library by on Linux, for example {@code libdnnl.so.3}} */
    public String soname() {
        return soname;
    }

    /** The sentence for a call that came before the library was loaded. */
    String notLoaded() {
        return this + " is not loaded: ask for " + loadedBy + " first, which loads it or says why it cannot.";
    }

    /** The sentence for a library that lacks a function that the bindings were made with. */
    String lacks(String function) {
        return this + " has no function " + function
                + ": the library that was loaded is of another version than Muonium's bindings were made for.";
    }

    /** {@return the library as a sentence names it, for example {@code libdnnl.so.3 (oneDNN)}} */
    @Override
    public String toString() {
        return soname + " (" + title + ")";
    }
}
