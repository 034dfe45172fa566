package dev.muonium.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class MemoryReportTest {
    @Test
    void saysWhoHasWhat() {
        Ledger ledger = new Ledger();
        ledger.enter(Purpose.WEIGHTS, "wte", 4_000);
        ledger.enter(Purpose.WEIGHTS, "head", 5_000_000);
        ledger.enter(Purpose.OPTIMIZER_WORKSPACE, "workspace", 1_000).close();
        ledger.enter(Purpose.OFFLOADED_STATE, "wte.exp_avg", 700);
        Map<String, Long> outside = new LinkedHashMap<>();
        outside.put("the JVM", 99L);

        MemoryReport report = ledger.report("cpu", outside);

        assertEquals(5_004_000, report.total());
        assertEquals(5_005_000, report.peak());
        assertEquals(new MemoryReport.Use(0, 1_000), report.purposes().get(Purpose.OPTIMIZER_WORKSPACE));
        assertEquals(
                List.of("head", "wte", "wte.exp_avg"),
                report.largest().stream().map(MemoryReport.Allocation::name).toList());
        assertEquals("""
                                             5,004,000  held by the ledger of cpu, at most 5,005,000 so far
                                             5,004,000  weights
                                                   700  offloaded state
                                                     0  optimizer workspace, at most 1,000 so far
                                  the largest of it
                                             5,000,000  'head' (weights)
                                                 4,000  'wte' (weights)
                                                   700  'wte.exp_avg' (offloaded state)
                                  outside the ledger
                                                    99  the JVM\
                                  """, report.toString());
    }

    @Test
    void hasTheLargestFew() {
        Ledger ledger = new Ledger();
        for (int i = 1; i <= 20; i++) {
            ledger.enter(Purpose.DATA, "t" + i, i);
        }

        List<MemoryReport.Allocation> largest = ledger.report("cpu", Map.of()).largest();

        assertEquals(MemoryReport.LARGEST, largest.size());
        assertEquals(new MemoryReport.Allocation(Purpose.DATA, "t20", 20), largest.getFirst());
        assertEquals(13, largest.getLast().bytes());
    }

    @Test
    void readsTheKernelsCounts() {
        assertEquals(1234L * 1024, ResidentMemory.bytes(List.of("VmPeak:\t 99 kB", "VmHWM:\t    1234 kB"), "VmHWM:"));
        assertEquals(-1, ResidentMemory.bytes(List.of("VmPeak:\t 99 kB"), "VmHWM:"));
        assertTrue(ResidentMemory.beside(0).values().stream().allMatch(bytes -> bytes >= 0));
    }
}
