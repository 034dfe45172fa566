package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.api.Test;

final class MuoniumExceptionTest {
    @Test
    void keepsTheSentenceAndTheCause() {
        var cause = new IllegalArgumentException("why");
        var exception = new MuoniumException("what failed", cause);

        assertEquals("what failed", exception.getMessage());
        assertSame(cause, exception.getCause());
    }
}
