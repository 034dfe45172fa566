package dev.muonium.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class LiveMemoryTest {
    private record Range(long begin, long bytes) {}

    /** Against a list that is searched through; ranges overlap, repeat and touch. */
    @Test
    void knowsWhatIsInUse() {
        Random random = new Random(5);
        LiveMemory live = new LiveMemory();
        List<Range> plain = new ArrayList<>();
        for (int round = 0; round < 3_000; round++) {
            if (plain.size() > 12 || (!plain.isEmpty() && random.nextInt(3) == 0)) {
                Range gone = plain.remove(random.nextInt(plain.size()));
                live.remove(gone.begin(), gone.bytes());
            } else {
                Range fresh = new Range(10 + random.nextInt(40), 1 + random.nextInt(15));
                plain.add(fresh);
                live.add(fresh.begin(), fresh.bytes());
            }
            for (long address = 5; address < 70; address++) {
                long expected = 0;
                for (Range range : plain) {
                    if (range.begin() <= address) {
                        expected = Math.max(expected, range.begin() + range.bytes() - address);
                    }
                }
                assertEquals(expected, live.bytesFrom(address), address + " in " + plain);
            }
        }
        List.copyOf(plain).forEach(range -> live.remove(range.begin(), range.bytes()));
        assertEquals(0, live.bytesFrom(20));
        live.remove(1, 1); // what was never there
        assertTrue(live.isEmpty());
    }
}
