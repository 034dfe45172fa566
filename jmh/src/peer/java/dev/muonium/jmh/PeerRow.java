package dev.muonium.jmh;

/**
 * A set of matrices as it was measured on a number of threads.
 *
 * @param label of the set
 * @param peer the way in which the peer was fastest, which is the one that was measured
 * @param pairs of turns
 * @param peerMillis time of the peer's step
 * @param defaultMillis time of Muonium's step with its default policy
 * @param defaultRatio the peer's time over that, pair by pair
 * @param defaultProcessorRatio the same of the time that the processes were running
 * @param kellerMillis time of Muonium's step with Keller's five steps
 * @param kellerRatio the peer's time over that, pair by pair
 * @param kellerProcessorRatio the same of the time that the processes were running
 * @param difference relative difference of the two libraries' first updates, with Keller's five steps
 * @param defaultDifference the same with the default policy
 */
record PeerRow(
        String label,
        long parameters,
        int threads,
        String peer,
        int pairs,
        Quartiles peerMillis,
        Quartiles defaultMillis,
        Quartiles defaultRatio,
        Quartiles defaultProcessorRatio,
        Quartiles kellerMillis,
        Quartiles kellerRatio,
        Quartiles kellerProcessorRatio,
        double difference,
        double defaultDifference) {}
