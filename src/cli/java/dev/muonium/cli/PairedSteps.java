package dev.muonium.cli;

import dev.muonium.cli.report.Speed;
import dev.muonium.nano.TrainStep;
import dev.muonium.nano.Trainer;
import dev.muonium.nano.TrainingListener;

/**
 * Times the steps of two trainers that take turns, in the order A B B A, so that neither gains from what else the machine
 * does, nor from following the other.
 */
final class PairedSteps {
    /** The first steps bind products and warm up the JVM. */
    private static final int WARM_UP = 3;

    private final double[] baselineMs;
    private final double[] candidateMs;
    private final double[] baselineOptimizerMs;
    private final double[] candidateOptimizerMs;

    private PairedSteps(int pairs) {
        baselineMs = new double[pairs];
        candidateMs = new double[pairs];
        baselineOptimizerMs = new double[pairs];
        candidateOptimizerMs = new double[pairs];
    }

    /** The steps that each trainer takes for a number of pairs. */
    static int steps(int pairs) {
        return WARM_UP + pairs;
    }

    /**
     * Runs the warm-up and the pairs.
     *
     * @param pairs at least 1
     * @param listener hears of the baseline's steps
     */
    static PairedSteps of(Trainer baseline, Trainer candidate, int pairs, TrainingListener listener) {
        for (int i = 0; i < WARM_UP; i++) {
            listener.stepped(baseline.trainStep());
            candidate.trainStep();
        }
        PairedSteps times = new PairedSteps(pairs);
        for (int pair = 0; pair < pairs; pair++) {
            TrainStep ofBaseline;
            if (pair % 2 == 0) {
                ofBaseline = baseline.trainStep();
                times.candidate(pair, candidate.trainStep());
            } else {
                times.candidate(pair, candidate.trainStep());
                ofBaseline = baseline.trainStep();
            }
            times.baseline(pair, ofBaseline);
            listener.stepped(ofBaseline);
        }
        return times;
    }

    private void baseline(int pair, TrainStep step) {
        baselineMs[pair] = step.milliseconds();
        baselineOptimizerMs[pair] = step.optimizerMilliseconds();
    }

    private void candidate(int pair, TrainStep step) {
        candidateMs[pair] = step.milliseconds();
        candidateOptimizerMs[pair] = step.optimizerMilliseconds();
    }

    Speed speed() {
        double[] ratios = new double[baselineMs.length];
        for (int i = 0; i < ratios.length; i++) {
            ratios[i] = candidateMs[i] / baselineMs[i];
        }
        return Speed.of(ratios);
    }

    double baselineMs() {
        return Speed.median(baselineMs);
    }

    double candidateMs() {
        return Speed.median(candidateMs);
    }

    double baselineOptimizerMs() {
        return Speed.median(baselineOptimizerMs);
    }

    double candidateOptimizerMs() {
        return Speed.median(candidateOptimizerMs);
    }
}
