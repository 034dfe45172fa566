package dev.muonium.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.muonium.device.CpuTier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

final class DoctorCommandTest {
    @Test
    void namesLibrariesTierAndThreads() {
        CommandLineRun run = CommandLineRun.of("doctor");

        assertEquals(ExitCode.OK, run.exitCode(), run.err());
        for (String part : new String[] {
            "CPU device   available",
            "libmuonium.so",
            "libdnnl.so.3 3.",
            "libgomp.so.1",
            "scalar",
            "  threads    ",
            "CUDA device  "
        }) {
            assertTrue(run.out().contains(part), part + " is missing in\n" + run.out());
        }
    }

    @Test
    void printsJson() {
        CommandLineRun run = CommandLineRun.of("doctor", "--json");

        JsonNode json = JsonMapper.shared().readTree(run.out());
        assertEquals(
                Runtime.getRuntime().availableProcessors(),
                json.get("processors").asInt());
        assertTrue(json.get("cpu_problem").isNull());
        JsonNode cpu = json.get("cpu");
        assertTrue(Arrays.stream(CpuTier.values())
                .anyMatch(tier -> tier.toString().equals(cpu.get("tier").asString())));
        for (JsonNode library : cpu.get("libraries")) {
            Path path = Path.of(library.get("path").asString());
            assertTrue(Files.isRegularFile(path), path.toString());
        }
    }
}
