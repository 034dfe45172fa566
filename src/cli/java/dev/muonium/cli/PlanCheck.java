package dev.muonium.cli;

import dev.muonium.device.Device;
import dev.muonium.memory.Purpose;
import dev.muonium.nano.GptPlan;
import dev.muonium.nano.Preset;
import dev.muonium.nano.RunResult;
import dev.muonium.plan.MemoryPlan;
import dev.muonium.plan.PlannedDevice;
import dev.muonium.plan.ProcessPlan;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** What was planned for a run, beside what the ledger and the operating system or the GPU's driver counted. */
final class PlanCheck {
    private PlanCheck() {}

    /**
     * @param start resident memory of the process before the run was made; -1 where the system does not tell
     * @param tokens of the text
     * @param saves whether checkpoints were saved
     * @return a line for each of the counts
     */
    static List<String> lines(Device device, Preset preset, RunResult result, long start, long tokens, boolean saves) {
        PlannedDevice planned = PlannedDevice.of(device);
        MemoryPlan plan = GptPlan.of(preset, planned, tokens, saves);
        List<String> lines = new ArrayList<>();
        lines.add(line("by the ledger", plan.peak(), result.peakLedgerBytes()));
        if (result.peakDeviceGrowth() >= 0) {
            // Batches, and the copy that checkpoints are written from, lie in memory of the host.
            long onTheHost = plan.bytes(Purpose.DATA) + plan.bytes(Purpose.CHECKPOINT);
            lines.add(line("by cudaMemGetInfo", plan.peak() - onTheHost, result.peakDeviceGrowth()));
        } else if (start >= 0) {
            ProcessPlan process = ProcessPlan.of(plan, TrainingOptions.tokenizerBytes(preset));
            lines.add(line("by the system, less the JVM's start", process.total(), result.peakRssBytes() - start));
        }
        return lines;
    }

    private static String line(String count, long planned, long measured) {
        return String.format(
                Locale.ROOT,
                "%s: planned %.2f MiB, measured %.2f MiB (%+.1f %%)",
                count,
                planned / (double) (1 << 20),
                measured / (double) (1 << 20),
                100.0 * (planned - measured) / measured);
    }
}
