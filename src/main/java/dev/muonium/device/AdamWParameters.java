package dev.muonium.device;

import java.lang.foreign.MemorySegment;

/** The scalars of an AdamW step, off-heap where kernels read them. */
public interface AdamWParameters extends AutoCloseable {
    /**
     * Sets all of them; the bias corrections {@code 1 - beta^step} are computed here, in double.
     *
     * @param step the number of this step, from 1
     */
    void set(float lr, float beta1, float beta2, float eps, float weightDecay, long step, float gradientScale);

    /** The {@code mu_adamw_params} that kernels read. */
    MemorySegment segment();

    @Override
    void close();
}
