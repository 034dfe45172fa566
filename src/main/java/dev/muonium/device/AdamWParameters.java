package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/** The scalars of an AdamW step, off-heap where kernels read them. */
public interface AdamWParameters extends AutoCloseable {
    /**
     * Sets all of them; the bias corrections {@code 1 - beta^step} are computed here. In double, because 1 - beta2 from a
     * float 0.999 would be off by 1.3e-5. Not thread-safe against a kernel that reads them.
     *
     * @param step the number of this step, from 1
     */
    void set(double lr, double beta1, double beta2, double eps, double weightDecay, long step, double gradientScale);

    /** The {@code mu_adamw_params} that kernels read. */
    MemorySegment segment();

    @Override
    void close();
}
