package dev.muonium.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class LedgerTest {
    @Test
    void countsByPurposeAndKeepsPeaks() {
        Ledger ledger = new Ledger();
        Ledger.Entry weights = ledger.enter(Purpose.WEIGHTS, "w", 100);
        ledger.enter(Purpose.GRADIENTS, "g", 50);
        weights.close();
        weights.close();
        ledger.enter(Purpose.GRADIENTS, "h", 20);

        assertEquals(70, ledger.total());
        assertEquals(150, ledger.peak());
        assertEquals(100, ledger.peak(Purpose.WEIGHTS));
        assertEquals(70, ledger.peak(Purpose.GRADIENTS));
        assertEquals(0, ledger.bytes(Purpose.WEIGHTS));
        assertEquals(3, ledger.allocations());
        assertEquals(Map.of(Purpose.GRADIENTS, 70L), ledger.byPurpose());
        assertEquals("total 70 bytes, peak 150 bytes, {GRADIENTS=70}", ledger.toString());
    }

    @Test
    void isExactUnderManyThreads() throws InterruptedException {
        Ledger ledger = new Ledger();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            Purpose purpose = Purpose.values()[i];
            threads.add(Thread.ofPlatform().start(() -> {
                for (int n = 1; n <= 20_000; n++) {
                    Ledger.Entry entry = ledger.enter(purpose, "x", n);
                    if (n % 2 == 0) {
                        entry.close();
                    }
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join();
        }
        assertEquals(4 * 10_000L * 10_000, ledger.total()); // 1 + 3 + ... + 19,999 each
        assertEquals(80_000, ledger.allocations());
    }
}
