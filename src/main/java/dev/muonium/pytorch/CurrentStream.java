package dev.muonium.pytorch;

/** The CUDA stream that PyTorch's calls on this thread go into. */
interface CurrentStream {
    /** The {@code cudaStream_t}; 0 for CUDA's default stream. */
    long handle();

    /** Returns when all work in it is done. */
    void synchronize();
}
