package dev.muonium.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ScheduleTest {
    @Test
    void theLineRisesStaysAndFallsToItsFloor() {
        Schedule schedule = Schedule.linear(4, 5, 20, 0.1);
        assertEquals(0.25, schedule.factor(0));
        assertEquals(1, schedule.factor(3));
        assertEquals(1, schedule.factor(14));
        assertEquals(1, schedule.factor(15));
        assertEquals(0.1 + 0.9 * 0.8, schedule.factor(16), 1e-15);
        assertEquals(0.1 + 0.9 * 0.2, schedule.factor(19), 1e-15);
        assertEquals(0.1, schedule.factor(20));
        assertEquals(0.1, schedule.factor(1000));
    }

    @Test
    void theCosineIsHalfWayDownInTheMiddle() {
        Schedule schedule = Schedule.cosine(0, 10, 10, 0.2);
        assertEquals(1, schedule.factor(0), 1e-15);
        assertEquals(0.6, schedule.factor(5), 1e-15);
        assertEquals(0.2, schedule.factor(10), 1e-15);
        for (int step = 1; step <= 10; step++) {
            assertTrue(schedule.factor(step) < schedule.factor(step - 1));
        }
    }

    @Test
    void withoutAWarmDownItStaysAtOne() {
        Schedule schedule = Schedule.linear(0, 0, 10, 0);
        assertEquals(1, schedule.factor(0));
        assertEquals(1, schedule.factor(9));
        assertEquals(1, schedule.factor(50));
        assertEquals(1, Schedule.constant().factor(7));
    }

    @Test
    void partsThatDoNotFitGetASentence() {
        String message = assertThrows(IllegalArgumentException.class, () -> Schedule.linear(6, 5, 10, 0))
                .getMessage();
        assertTrue(message.contains("6 steps of warm-up and 5 of warm-down in a run of 10"), message);
        assertThrows(IllegalArgumentException.class, () -> Schedule.linear(-1, 5, 10, 0));
        assertThrows(IllegalArgumentException.class, () -> Schedule.cosine(1, 5, 10, 1.5));
    }
}
