package dev.muonium.jmh.pytorch;

/** An optimizer under a module, as a training loop sees it. */
interface Stepper extends AutoCloseable {
    void zeroGrad();

    void step();

    long stateBytes();

    @Override
    void close();
}
