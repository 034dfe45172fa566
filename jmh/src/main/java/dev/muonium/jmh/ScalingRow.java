package dev.muonium.jmh;

/**
 * A set of matrices as it was measured on a number of threads.
 *
 * @param plainFlops that the plain iteration would need
 * @param flops that Muonium's ways need
 * @param bytes that no step can do without: gradients read, momentum and weights read and written
 * @param millis of a step
 * @param peak of the processor in GF/s, in the precision of the iterates
 * @param copy the better of both copies, GB/s
 */
record ScalingRow(
        String label,
        long parameters,
        int threads,
        int steps,
        double plainFlops,
        double flops,
        double bytes,
        Quartiles millis,
        double peak,
        double copy) {
    double nanosPerParameter() {
        return millis.median() * 1e6 / parameters;
    }

    /** Share of the peak that the plain iteration would have had to reach in this time; more than 1 where work was saved. */
    double plainShare() {
        return plainFlops / (millis.median() * 1e6) / peak;
    }

    /** Share of the peak that was reached. */
    double share() {
        return flops / (millis.median() * 1e6) / peak;
    }

    /** Share of the copy's bandwidth that was reached, if nothing but what must be moved was moved. */
    double bandwidthShare() {
        return bytes / (millis.median() * 1e6) / copy;
    }
}
