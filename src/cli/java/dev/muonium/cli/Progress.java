package dev.muonium.cli;

import dev.muonium.memory.Ledger;
import dev.muonium.nano.TrainStep;
import dev.muonium.nano.TrainingListener;
import java.io.Console;
import java.io.PrintStream;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * Shows how far a run is, on stderr: a bar that is drawn over and over on a terminal, and a line now and then where nobody
 * could see it move.
 */
abstract sealed class Progress implements TrainingListener, AutoCloseable {
    private final long tokensPerStep;
    private final Ledger ledger;
    private double smoothedMs = Double.NaN;

    private Progress(long tokensPerStep, Ledger ledger) {
        this.tokensPerStep = tokensPerStep;
        this.ledger = ledger;
    }

    /**
     * Begins to show a run.
     *
     * @param name of the run
     * @param steps that it has
     * @param tokensPerStep for tokens per second
     * @param ledger whose total is shown
     */
    @SuppressWarnings("SystemConsoleNull") // the console of java.base, the default, is null where there is no terminal
    static Progress of(String name, int steps, long tokensPerStep, Ledger ledger) {
        Console console = System.console();
        return console != null && console.isTerminal()
                ? new Bar(name, steps, tokensPerStep, ledger)
                : new Lines(name, steps, tokensPerStep, ledger, System.err);
    }

    @Override
    public void stepped(TrainStep step) {
        // A moving mean: single steps are as noisy as the machine.
        smoothedMs = Double.isNaN(smoothedMs) ? step.milliseconds() : 0.9 * smoothedMs + 0.1 * step.milliseconds();
        show(step, tokensPerStep * 1000 / smoothedMs, ledger.total() / (double) (1 << 20));
    }

    abstract void show(TrainStep step, double tokensPerSecond, double mebibytes);

    /** Ends the display. */
    @Override
    public abstract void close();

    private static final class Bar extends Progress {
        /** Fits a terminal of 80 columns; a longer line would leave its rests behind. */
        private static final int WIDTH = 79;

        private final ProgressBar bar;

        Bar(String name, int steps, long tokensPerStep, Ledger ledger) {
            super(tokensPerStep, ledger);
            this.bar = new ProgressBarBuilder()
                    .setTaskName(name)
                    .setInitialMax(steps)
                    .setStyle(ProgressBarStyle.ASCII)
                    .setUpdateIntervalMillis(200)
                    .setConsumer(new ConsoleProgressBarConsumer(System.err, WIDTH))
                    .build();
        }

        @Override
        void show(TrainStep step, double tokensPerSecond, double mebibytes) {
            bar.setExtraMessage(String.format(
                    Locale.ROOT, " loss %.3f %.0f tok/s %.0f MiB", step.loss(), tokensPerSecond, mebibytes));
            bar.stepTo(step.step());
        }

        @Override
        public void close() {
            bar.close();
        }
    }

    /** For logs and pipes. */
    static final class Lines extends Progress {
        private static final int LINES = 10;

        private final String name;
        private final int steps;
        private final PrintStream out;
        private final long begin = System.nanoTime();

        Lines(String name, int steps, long tokensPerStep, Ledger ledger, PrintStream out) {
            super(tokensPerStep, ledger);
            this.name = name;
            this.steps = steps;
            this.out = out;
        }

        @Override
        void show(TrainStep step, double tokensPerSecond, double mebibytes) {
            int every = Math.max(1, steps / LINES);
            if (step.step() % every == 0 || step.step() == steps) {
                double elapsed = (System.nanoTime() - begin) / 1e9;
                out.printf(
                        Locale.ROOT,
                        "%s: step %d of %d, loss %.4f, %.0f tokens/s, %.0f MiB, %.0f s left%n",
                        name,
                        step.step(),
                        steps,
                        step.loss(),
                        tokensPerSecond,
                        mebibytes,
                        elapsed / step.step() * (steps - step.step()));
            }
        }

        @Override
        public void close() {
            out.flush();
        }
    }
}
