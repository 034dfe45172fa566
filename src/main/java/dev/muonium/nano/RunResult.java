package dev.muonium.nano;

import dev.muonium.memory.Purpose;
import java.util.List;
import java.util.Map;

/**
 * What one training run showed; the fields are those of a run in {@code report.json}, bytes are bytes.
 *
 * @param name the run's name, for example {@code fp32}
 * @param optimizerStateBytes what the optimizers keep from step to step
 * @param optimizerWorkspaceBytes what they need only during a step
 * @param optimizerStateBytesByOptimizer the state, by optimizer
 * @param weightsBytes parameters
 * @param masterWeightsBytes FP32 copies of weights in bf16, which belong to the optimizer
 * @param gradientsBytes gradients
 * @param activationsBytes what forward keeps for backward, and gradients of activations
 * @param peakLedgerBytes the most that was allocated off the heap at any time
 * @param peakRssBytes the process's largest resident memory; -1 where the system does not tell
 * @param peakDeviceGrowth by how many bytes more of the GPU were in use at most than before the model was made, as the driver counts them
 *     (cudaMemGetInfo); -1 on the CPU
 * @param peakDeviceUse bytes of the GPU that were in use at most, with the driver's and libraries' own and with other processes'; -1 on the CPU
 * @param tokensPerSecond tokens trained on per second of {@code stepMsMedian}
 * @param stepMsMedian median time of a step, in milliseconds
 * @param optimizerMsMedian median time of the optimizer within a step, in milliseconds
 * @param trainLoss loss of each step, in nats per token
 * @param valLoss loss on the held-out text after the last step, in nats per token
 * @param nonFiniteSteps steps that were skipped because a gradient was not finite
 * @param peakBytesByPurpose the most that was allocated for each purpose at any time; that of {@link Purpose#OFFLOADED_STATE} lies in a
 *     file or in memory of a GPU's host
 */
public record RunResult(
        String name,
        long optimizerStateBytes,
        long optimizerWorkspaceBytes,
        Map<String, Long> optimizerStateBytesByOptimizer,
        long weightsBytes,
        long masterWeightsBytes,
        long gradientsBytes,
        long activationsBytes,
        long peakLedgerBytes,
        long peakRssBytes,
        long peakDeviceGrowth,
        long peakDeviceUse,
        double tokensPerSecond,
        double stepMsMedian,
        double optimizerMsMedian,
        List<Double> trainLoss,
        double valLoss,
        long nonFiniteSteps,
        Map<Purpose, Long> peakBytesByPurpose) {
    /** Copies the collections. */
    public RunResult {
        optimizerStateBytesByOptimizer = Map.copyOf(optimizerStateBytesByOptimizer);
        trainLoss = List.copyOf(trainLoss);
        peakBytesByPurpose = Map.copyOf(peakBytesByPurpose);
    }

    /** The same with other times. */
    public RunResult timed(double newTokensPerSecond, double newStepMs, double newOptimizerMs) {
        return new RunResult(
                name,
                optimizerStateBytes,
                optimizerWorkspaceBytes,
                optimizerStateBytesByOptimizer,
                weightsBytes,
                masterWeightsBytes,
                gradientsBytes,
                activationsBytes,
                peakLedgerBytes,
                peakRssBytes,
                peakDeviceGrowth,
                peakDeviceUse,
                newTokensPerSecond,
                newStepMs,
                newOptimizerMs,
                trainLoss,
                valLoss,
                nonFiniteSteps,
                peakBytesByPurpose);
    }
}
