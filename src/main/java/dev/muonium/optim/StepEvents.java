package dev.muonium.optim;

import dev.muonium.events.OrthogonalizationEvent;
import dev.muonium.events.StepEvent;
import dev.muonium.memory.ElementType;
import dev.muonium.ortho.Way;

/** Fills the events of a step. */
final class StepEvents {
    private StepEvents() {}

    static void commit(StepEvent event, StepReport report, int parameters) {
        event.step = report.step();
        event.taken = report.taken();
        String culprit = report.nonFiniteParameter();
        event.reason = culprit == null ? null : "the gradient of parameter '" + culprit + "' is not finite";
        event.gradientNorm = report.gradientNorm();
        event.clipFactor = report.clipFactor();
        event.parameters = parameters;
        event.fallbacks = report.fallbacks();
        event.commit();
    }

    /** @param first what has the matrix, or the first of a batch */
    static void commit(
            OrthogonalizationEvent event,
            MuonSlot first,
            long matrices,
            long rows,
            long cols,
            Way way,
            ElementType precision,
            boolean fallback) {
        event.group = first.group.name();
        event.parameter = first.parameter.name();
        event.matrices = matrices;
        event.rows = rows;
        event.cols = cols;
        event.way = way.toString();
        event.precision = precision.name();
        event.fallback = fallback;
        event.commit();
    }
}
