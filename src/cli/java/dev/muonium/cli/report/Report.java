package dev.muonium.cli.report;

import dev.muonium.nano.Preset;
import dev.muonium.nano.RunResult;
import java.util.List;

/**
 * A comparison of two runs: of one preset with two formats of optimizer state, or of any two configurations.
 *
 * @param version of Muonium
 * @param preset the model and its training
 * @param parameters of the model
 * @param steps of each run
 * @param seed of the weights and of the order of the text
 * @param text what was trained on
 * @param tokenizer how it was cut into tokens
 * @param precision of weights, gradients and activations
 * @param tokensPerStep tokens that one step sees
 * @param bytesPerToken of the text, on average
 * @param machine where
 * @param runs the first is what the others are compared with
 * @param reduction of the last run against the first
 * @param speed of the last run against the first
 * @param order2ByteModelLoss nats per byte of an order-2 byte model of the training split on the held-out split
 */
public record Report(
        String version,
        String preset,
        long parameters,
        int steps,
        long seed,
        String text,
        String tokenizer,
        String precision,
        long tokensPerStep,
        double bytesPerToken,
        Machine machine,
        List<RunResult> runs,
        Reduction reduction,
        Speed speed,
        double order2ByteModelLoss) {
    /** The report of two runs of one preset. */
    public static Report of(
            String version,
            Preset preset,
            String text,
            String tokenizer,
            String precision,
            long tokensPerStep,
            double bytesPerToken,
            Machine machine,
            RunResult baseline,
            RunResult candidate,
            Speed speed,
            double order2ByteModelLoss) {
        return new Report(
                version,
                preset.name(),
                preset.model().parameterCount(),
                preset.training().steps(),
                preset.training().seed(),
                text,
                tokenizer,
                precision,
                tokensPerStep,
                bytesPerToken,
                machine,
                List.of(baseline, candidate),
                Reduction.of(baseline, candidate),
                speed,
                order2ByteModelLoss);
    }

    /**
     * By which fraction something became smaller.
     *
     * @param optimizerState bytes of optimizer state
     * @param peakLedger the largest sum of everything that was allocated
     * @param peakRss the largest resident memory of the process
     */
    public record Reduction(double optimizerState, double peakLedger, double peakRss) {
        static Reduction of(RunResult from, RunResult to) {
            return new Reduction(
                    fraction(from.optimizerStateBytes(), to.optimizerStateBytes()),
                    fraction(from.peakLedgerBytes(), to.peakLedgerBytes()),
                    fraction(from.peakRssBytes(), to.peakRssBytes()));
        }

        private static double fraction(long from, long to) {
            return 1 - (double) to / from;
        }
    }

    /** What the other runs are compared with. */
    public RunResult baseline() {
        return runs.getFirst();
    }

    /** What is compared with it. */
    public RunResult candidate() {
        return runs.getLast();
    }

    /** {@code |val_loss - baseline's| / baseline's}. */
    public double valLossDifference() {
        return Math.abs(candidate().valLoss() - baseline().valLoss())
                / baseline().valLoss();
    }

    /** The order-2 byte model's loss, in the runs' unit: nats per token. */
    public double order2LossPerToken() {
        return order2ByteModelLoss * bytesPerToken;
    }
}
