package dev.muonium.cli.report;

import java.util.List;
import java.util.SortedMap;

/**
 * What one training run showed.
 *
 * @param name what its optimizer state is kept in: {@code fp32} or {@code int8}
 * @param optimizerStateBytes codes, scales and FP32 moments, by the ledger
 * @param optimizerWorkspaceBytes what the optimizers need only during a step, by the ledger
 * @param optimizerStateBytesByOptimizer {@code optimizerStateBytes} by the optimizer that holds them
 * @param weightsBytes by the ledger
 * @param gradientsBytes by the ledger
 * @param activationsBytes by the ledger
 * @param peakLedgerBytes the largest sum of all purposes
 * @param peakRssBytes the largest resident memory of the process (VmHWM), with the JVM and the training text
 * @param tokensPerSecond tokens of a step by the median time of a step
 * @param stepMsMedian milliseconds
 * @param optimizerMsMedian the optimizer's part of it, milliseconds
 * @param trainLoss nats per token, one per step
 * @param valLoss nats per token on the held-out split after the last step
 * @param nonFiniteSteps steps that were skipped because of a NaN or an infinity
 */
public record RunResult(
        String name,
        long optimizerStateBytes,
        long optimizerWorkspaceBytes,
        SortedMap<String, Long> optimizerStateBytesByOptimizer,
        long weightsBytes,
        long gradientsBytes,
        long activationsBytes,
        long peakLedgerBytes,
        long peakRssBytes,
        double tokensPerSecond,
        double stepMsMedian,
        double optimizerMsMedian,
        List<Double> trainLoss,
        double valLoss,
        long nonFiniteSteps) {
    /** The same run with the times that were taken elsewhere, with both trainers side by side. */
    public RunResult withTimes(double tokensPerSecond, double stepMsMedian, double optimizerMsMedian) {
        return new RunResult(
                name,
                optimizerStateBytes,
                optimizerWorkspaceBytes,
                optimizerStateBytesByOptimizer,
                weightsBytes,
                gradientsBytes,
                activationsBytes,
                peakLedgerBytes,
                peakRssBytes,
                tokensPerSecond,
                stepMsMedian,
                optimizerMsMedian,
                trainLoss,
                valLoss,
                nonFiniteSteps);
    }
}
