package dev.muonium.nano;

/** Hears of a run's progress, on the thread that trains. Each method does nothing unless it is overridden. */
public interface TrainingListener {
    /** A step is done. */
    default void stepped(TrainStep step) {}

    /**
     * A validation is done.
     *
     * @param step the number of steps before it
     * @param loss mean loss on the held-out text, in nats per token
     */
    default void validated(int step, double loss) {}
}
