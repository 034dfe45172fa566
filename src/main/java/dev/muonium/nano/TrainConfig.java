package dev.muonium.nano;

import static dev.muonium.nano.Ranges.requireRange;

import dev.muonium.optim.Schedule;

/**
 * How a model is trained. The matrices of the blocks go to Muon or AdamW, embedding and head to AdamW.
 *
 * @param batch sequences per micro-batch
 * @param gradAccumSteps micro-batches per step; their gradients are averaged
 * @param steps optimizer steps
 * @param seed of the initial weights and the order of the text
 * @param matrixOptimizer which optimizer updates the matrices of the blocks
 * @param orthogonalization how Muon orthogonalizes
 * @param matrixLr its learning rate
 * @param embeddingLr AdamW's learning rate for the embedding
 * @param headLr AdamW's learning rate for an untied head
 * @param weightDecay of the matrices, decoupled; embedding and head have none
 * @param beta1 AdamW's decay of the first moment
 * @param beta2 AdamW's decay of the second moment
 * @param adamEps AdamW's epsilon
 * @param warmupSteps over how many steps all learning rates rise linearly
 * @param warmdownFraction over which last part of the steps they fall linearly
 * @param finalLrFraction of the learning rate, reached at the end
 * @param momentumStart Muon's momentum at the first step
 * @param momentumEnd Muon's momentum after {@code momentumWarmupSteps}
 * @param momentumWarmupSteps over how many steps the momentum rises linearly
 * @param clip largest global norm of the gradient; 0 for no clipping
 * @param use8bitOptim whether both optimizers keep their state in 8 bits
 * @param precision of weights, gradients and activations
 * @param techniques what makes it fit
 * @param saving when checkpoints are saved
 * @param evalEvery steps between two validations; 0 for one at the end only
 * @param evalBatches micro-batches of one validation
 * @param samplePrompt what a sample begins with
 * @param sampleTokens length of the sample at the end, in tokens; 0 for none
 * @param sampleTemperature logits are divided by it; 0 takes the likeliest token
 * @param sampleTopK how many of the likeliest tokens are drawn from; 0 for all
 */
public record TrainConfig(
        int batch,
        int gradAccumSteps,
        int steps,
        long seed,
        MatrixOptimizer matrixOptimizer,
        Orthogonalization orthogonalization,
        double matrixLr,
        double embeddingLr,
        double headLr,
        double weightDecay,
        double beta1,
        double beta2,
        double adamEps,
        int warmupSteps,
        double warmdownFraction,
        double finalLrFraction,
        double momentumStart,
        double momentumEnd,
        int momentumWarmupSteps,
        double clip,
        boolean use8bitOptim,
        PrecisionChoice precision,
        Techniques techniques,
        Saving saving,
        int evalEvery,
        int evalBatches,
        String samplePrompt,
        int sampleTokens,
        double sampleTemperature,
        int sampleTopK) {

    /** Checks every number; the message names the key, the value and what is allowed. */
    public TrainConfig {
        requireRange("batch", batch, 1, 1 << 16);
        requireRange("grad_accum_steps", gradAccumSteps, 1, 1 << 16);
        requireRange("steps", steps, 1, 100_000_000);
        requireRange("matrix_lr", matrixLr, 0, 10);
        requireRange("embedding_lr", embeddingLr, 0, 10);
        requireRange("head_lr", headLr, 0, 10);
        requireRange("weight_decay", weightDecay, 0, 10);
        requireBelowOne("beta1", beta1);
        requireBelowOne("beta2", beta2);
        requireRange("adam_eps", adamEps, 1e-16, 1);
        requireRange("warmup_steps", warmupSteps, 0, 100_000_000);
        requireRange("warmdown_fraction", warmdownFraction, 0, 1);
        requireRange("final_lr_fraction", finalLrFraction, 0, 1);
        requireBelowOne("momentum_start", momentumStart);
        requireBelowOne("momentum_end", momentumEnd);
        requireRange("momentum_warmup_steps", momentumWarmupSteps, 0, 100_000_000);
        requireRange("clip", clip, 0, 1e9);
        requireRange("eval_every", evalEvery, 0, 100_000_000);
        requireRange("eval_batches", evalBatches, 1, 1 << 20);
        requireRange("sample_tokens", sampleTokens, 0, 1 << 20);
        requireRange("sample_temperature", sampleTemperature, 0, 100);
        requireRange("sample_top_k", sampleTopK, 0, 1 << 24);
        if (sampleTokens > 0 && samplePrompt.isEmpty()) {
            throw new IllegalArgumentException(
                    "sample_prompt is empty; it must hold at least one character, or set sample_tokens to 0");
        }
    }

    /** The same with another number of steps. */
    public TrainConfig withSteps(int newSteps) {
        return with(newSteps, seed, use8bitOptim, techniques);
    }

    /** The same with another seed. */
    public TrainConfig withSeed(long newSeed) {
        return with(steps, newSeed, use8bitOptim, techniques);
    }

    /** The same with state in 8 bits, or in FP32. */
    public TrainConfig with8bitOptim(boolean eightBits) {
        return with(steps, seed, eightBits, techniques);
    }

    /** The same with other techniques. */
    public TrainConfig withTechniques(Techniques newTechniques) {
        return with(steps, seed, use8bitOptim, newTechniques);
    }

    private TrainConfig with(int newSteps, long newSeed, boolean eightBits, Techniques newTechniques) {
        return new TrainConfig(
                batch,
                gradAccumSteps,
                newSteps,
                newSeed,
                matrixOptimizer,
                orthogonalization,
                matrixLr,
                embeddingLr,
                headLr,
                weightDecay,
                beta1,
                beta2,
                adamEps,
                warmupSteps,
                warmdownFraction,
                finalLrFraction,
                momentumStart,
                momentumEnd,
                momentumWarmupSteps,
                clip,
                eightBits,
                precision,
                newTechniques,
                saving,
                evalEvery,
                evalBatches,
                samplePrompt,
                sampleTokens,
                sampleTemperature,
                sampleTopK);
    }

    /**
     * What learning rates are multiplied by: they rise over the warm-up (over all that the warm-down leaves, where a run is shorter),
     * stay, and fall to {@link #finalLrFraction()}.
     */
    public Schedule schedule() {
        long warmdown = Math.round(warmdownFraction * steps);
        return Schedule.linear(Math.min(warmupSteps, steps - warmdown), warmdown, steps, finalLrFraction);
    }

    /**
     * Muon's momentum at a step.
     *
     * @param step from 0
     */
    public double momentum(int step) {
        double part = momentumWarmupSteps == 0 ? 1 : Math.min(1, step / (double) momentumWarmupSteps);
        return momentumStart + part * (momentumEnd - momentumStart);
    }

    private static void requireBelowOne(String name, double value) {
        if (!(value >= 0 && value < 1)) {
            throw new IllegalArgumentException(name + " is " + value + "; it must be at least 0 and below 1");
        }
    }
}
