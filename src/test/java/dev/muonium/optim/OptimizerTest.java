package dev.muonium.optim;

import org.junit.jupiter.api.Tag;

/** The optimizer on a CPU, by tasks. */
@Tag("tier")
class OptimizerTest extends CpuOptimizerContract {}
