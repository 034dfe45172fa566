package dev.muonium.nano;

/**
 * What one step of training showed.
 *
 * @param step the step's number, from 1
 * @param loss mean loss of its tokens before the update, in nats per token
 * @param gradientNorm norm of all gradients together, before clipping
 * @param skipped whether nothing was updated, because a gradient was not finite
 * @param milliseconds of the whole step: batches, forward, backward, optimizer
 * @param optimizerMilliseconds of the optimizer
 */
public record TrainStep(
        int step,
        double loss,
        double gradientNorm,
        boolean skipped,
        double milliseconds,
        double optimizerMilliseconds) {}
