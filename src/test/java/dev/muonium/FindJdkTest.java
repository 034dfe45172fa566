package dev.muonium;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The script that looks for JDKs, with stand-ins of versions that no machine has. */
final class FindJdkTest {
    @TempDir
    private Path home;

    @Test
    void takesTheVersionThatWasAskedFor() throws Exception {
        jdk("998.0.1");
        Path asked = jdk("997");

        assertEquals(asked + "\n", find("find_jdk 997"));
        assertEquals("failed\n", find("find_jdk 996"));
    }

    @Test
    void takesTheNewestOfThoseThatAreNewer() throws Exception {
        jdk("997");
        Path newest = jdk("998.0.1");
        jdk("996.0.2");

        assertEquals(newest + "\n", find("find_newer_jdk 25"));
        assertEquals(newest + "\n", find("find_newer_jdk 997"));
        assertEquals("failed\n", find("find_newer_jdk 998"));
    }

    private Path jdk(String version) throws IOException {
        Path jdk = home.resolve(".jdks").resolve(version);
        Files.createDirectories(jdk.resolve("bin"));
        Files.createFile(
                jdk.resolve("bin/javac"),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Files.writeString(jdk.resolve("release"), "IMPLEMENTOR=\"Nobody\"\nJAVA_VERSION=\"" + version + "\"\n");
        return jdk;
    }

    private String find(String call) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(
                List.of("bash", "-c", "set -euo pipefail; source src/build/find-jdk.sh; " + call + " || echo failed"));
        builder.environment().put("HOME", home.toString());
        Process process = builder.redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return output;
    }
}
